"""What the bot expects of a recipe is what an engine says, of every kind of weights."""

import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from bot.distributed.expecting import expected_of
from bot.engine import Engine
from bot.errors import WireError
from bot.recipe import Weights
from bot.request import ControlUse, Describe, DetailUse, EmbeddingUse, Reference
from bot.wire.expected import Expected
from catalog import (
    Catalog,
    ControlNetEntry,
    ControlNets,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    Embeddings,
    PoseEntry,
)
from tests.distributed.machines import Machine
from tests.engine import factories, grounding_dino, ip_adapter
from tests.engine.controls import depth_anything, vitpose
from tests.engine.controls import tiny as control
from tests.engine.families.encoders.files import spelt
from tests.engine.families.zimage import tiny_model as zimage
from tests.engine.test_embeddings import drawn

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    made = Machine(tmp_path_factory.mktemp("bot"))
    factories.build_models(made.models)
    return made


@pytest.fixture(scope="module")
def engine(machine: Machine) -> Iterator[Engine]:
    opened = Engine(models_dir=machine.models, hashes_file=machine.home / "own.json", device="cpu")
    yield opened
    opened.close()


def pair(folder: Path) -> EmbeddingEntry:
    learned = drawn()
    first = factories.save(folder / "two/a.safetensors", {"<wort>": learned["clip_l"]})
    factories.save(folder / "two/b.safetensors", {"<wort>": learned["clip_g"]})
    return EmbeddingEntry(key="wort", name="w", path=str(first), second="b.safetensors")


def offered(machine: Machine, engine: Engine, tmp_path: Path, **model: Any) -> Catalog:
    factories.paint(engine, factories.request())  # so that there is a UNet to guide
    guide = ip_adapter.build(tmp_path / "guide", factories.resident(engine).denoiser)
    ink = factories.kohya_lora(tmp_path / "ink.safetensors")
    entry = factories.model("x", **{"path": str(machine.models / "tiny"), **model})
    made = factories.catalog([entry], guide, ink=ink)
    return replace(made, embeddings=Embeddings({"wort": pair(tmp_path)}))


def in_two_variants(folder: Path, tmp_path: Path) -> Path:
    """With weights in 16 bits beside those in 32, and a list of shards that there are not."""
    from safetensors.torch import load_file

    made = Path(shutil.copytree(folder, tmp_path / "variants"))
    for file in [*made.glob("*/*.safetensors")]:
        half = {name: tensor.half() for name, tensor in load_file(file).items()}
        factories.save(file.with_suffix(".fp16.safetensors"), half)
    shutil.copytree(made / "vae", made / "safety_checker")
    return made


@pytest.mark.parametrize("layout", ["folder", "variants", "file", "vae folder", "vae pipeline"])
def test_a_recipe_of_the_engine_is_right_and_no_other(
    machine: Machine, engine: Engine, tmp_path: Path, layout: str
) -> None:
    other, tiny = machine.models / "other", machine.models / "tiny"
    match layout:
        case "variants":
            model = {"path": str(in_two_variants(other, tmp_path))}
        case "file":
            single = factories.single_file(other, tmp_path / "one.safetensors")
            model = {"path": str(single), "config": str(tiny)}
        case "vae folder":
            model = {"vae_path": str(other / "vae")}
        case "vae pipeline":
            model = {"vae_path": str(other)}
        case _:
            model = {}
    catalog = offered(machine, engine, tmp_path, **model)
    asked = factories.request(
        ("ink", 1.0),
        model="x",
        prompt="a wort in the snow",
        embeddings=(EmbeddingUse("wort", "wort"),),
        reference=Reference(factories.picture((100, 64), seed=8), 0.7),
    )
    machine.catalog = catalog
    machine.ready()
    order = factories.ordered(asked, catalog)
    expected = expected_of(order, machine.inventory)
    said = factories.paint(engine, asked, catalog).recipe
    expected.check(said)

    used = [expected.checkpoint, *expected.adapters, *expected.embeddings, *expected.reference]
    used += [] if expected.vae is None else [expected.vae]
    assert all(used)
    assert (said.vae is None) == (expected.vae is None)
    assert len(said.reference) == len(expected.reference) == 2
    for field in fields(Expected):
        for wrong in lies(getattr(said, field.name)):
            with pytest.raises(WireError, match=field.name):
                expected.check(replace(said, **{field.name: wrong}))


@pytest.mark.parametrize("layout", ["folder", "variants", "file", "named"])
def test_what_is_said_of_controlnets_is_right(
    machine: Machine, engine: Engine, tmp_path: Path, layout: str
) -> None:
    factories.paint(engine, factories.request())  # so that there is a UNet to steer
    network = control.network(factories.resident(engine).denoiser, "controlnet")
    path = control.write(tmp_path / "edges", network)
    weights = path / "diffusion_pytorch_model.safetensors"
    name = None
    match layout:
        case "variants":
            shutil.copy(weights, path / "diffusion_pytorch_model.fp16.safetensors")
        case "file":
            path = weights.rename(tmp_path / "edges.safetensors")
        case "named":
            name = "inner/diffusion_pytorch_model_x.safetensors"
            (path / "inner").mkdir()
            weights.rename(path / name)
            shutil.copy(path / "config.json", path / "inner/config_x.json")
    depth_anything.write(tmp_path / "depth", depth_anything.module())
    vitpose.write(tmp_path / "pose", vitpose.module())
    edges = ControlNetEntry(key="edges", name="E", path=str(path), weight_name=name)
    controls = ControlNets(
        {"edges": edges},
        depth=DepthEntry(path=str(tmp_path / "depth")),
        pose=PoseEntry(path=str(tmp_path / "pose")),
    )
    catalog = factories.catalog(
        [factories.model("x", str(machine.models / "tiny"))], controlnets=controls
    )
    followed = ControlUse("edges", factories.picture((64, 64), seed=8), "depth")
    stood = replace(followed, type="openpose", of_photo=True)
    asked = factories.request(model="x", controls=(followed, stood))
    machine.catalog = catalog
    machine.ready()
    expected = expected_of(factories.ordered(asked, catalog), machine.inventory)
    said = factories.paint(engine, asked, catalog).recipe
    assert all(expected.controls)
    assert expected.depth
    expected.check(said)
    for wrong in lies(said.controls):
        with pytest.raises(WireError, match="controls"):
            expected.check(replace(said, controls=wrong))
    for wrong in lies(said.depth):
        with pytest.raises(WireError, match="depth"):
            expected.check(replace(said, depth=wrong))
    assert expected.pose
    for wrong in lies(said.pose):
        with pytest.raises(WireError, match="pose"):
            expected.check(replace(said, pose=wrong))


def test_what_is_said_of_a_detector_is_right(
    machine: Machine, engine: Engine, tmp_path: Path
) -> None:
    grounding_dino.write(tmp_path / "finds", grounding_dino.module())
    catalog = factories.catalog(
        [factories.model("x", str(machine.models / "tiny"))],
        detector=DetectorEntry(path=str(tmp_path / "finds")),
    )
    asked = factories.request(model="x", detail=(DetailUse("face"),))
    machine.catalog = catalog
    machine.ready()
    expected = expected_of(factories.ordered(asked, catalog), machine.inventory)
    said = factories.paint(engine, asked, catalog).recipe
    assert expected.detector
    expected.check(said)
    for wrong in lies(said.detector):
        with pytest.raises(WireError, match="detector"):
            expected.check(replace(said, detector=wrong))


def test_what_is_said_of_a_describer_is_right(
    machine: Machine, engine: Engine, tmp_path: Path
) -> None:
    from tools.untrained import florence2

    florence2.write(tmp_path / "sees", florence2.module())
    catalog = replace(
        factories.catalog([factories.model("x", str(machine.models / "tiny"))]),
        describer=DescriberEntry(path=str(tmp_path / "sees")),
    )
    asked = factories.request(
        model="", steps=0, scheduler="", describe=Describe(factories.picture(), "short")
    )
    machine.catalog = catalog
    machine.ready()
    expected = expected_of(factories.ordered(asked, catalog), machine.inventory)
    said = factories.paint(engine, asked, catalog).recipe
    assert expected.describer
    expected.check(said)
    for wrong in lies(said.describer):
        with pytest.raises(WireError, match="describer"):
            expected.check(replace(said, describer=wrong))


@pytest.mark.parametrize("layout", ["folder", "pipeline", "file of llama.cpp"])
def test_what_is_said_of_a_text_encoder_is_right(tmp_path: Path, layout: str) -> None:
    here = Machine(tmp_path)
    zimage.build(here.models / "zimage")
    encoder = spelt(layout, here.models / "zimage", here.models)
    fields = {"family": "zimage", "text_encoder_path": str(encoder)}
    here.catalog = factories.catalog([factories.model("x", "zimage", **fields)])
    here.ready()
    engine = Engine(models_dir=here.models, hashes_file=tmp_path / "own.json", device="cpu")
    asked = factories.request(model="x", guidance=1.0, steps=1)
    said = factories.paint(engine, asked, here.catalog).recipe
    engine.close()
    expected = expected_of(factories.ordered(asked, here.catalog), here.inventory)
    assert expected.text_encoder
    expected.check(said)
    for wrong in (None, *lies(said.text_encoder)):
        with pytest.raises(WireError, match="text_encoder"):
            expected.check(replace(said, text_encoder=wrong))


def lies(said: Any) -> Iterator[Any]:
    """What a recipe says of some weights, each time with another digest in one place."""
    if isinstance(said, Weights):
        yield replace(said, sha256="0" * 64)
    elif isinstance(said, tuple):
        for number, weights in enumerate(said):
            yield (*said[:number], *lies(weights), *said[number + 1 :])


def test_what_is_not_hashed_yet_may_be_any(
    machine: Machine, engine: Engine, tmp_path: Path
) -> None:
    machine.catalog = offered(machine, engine, tmp_path)
    machine.inventory.update(machine.catalog)
    order = factories.ordered(factories.request(("ink", 1.0), model="x"), machine.catalog)
    expected = expected_of(order, machine.inventory)
    assert expected.adapters == (frozenset(),)
