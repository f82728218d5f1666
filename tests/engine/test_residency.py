"""Models in the same buffers: switching, adapters, resting, freeing."""

import json
import random
import shutil
from pathlib import Path

import pytest

from bot.engine import Engine
from bot.engine.subject import Subject
from bot.errors import JobFailed
from tests.engine.factories import (
    QUERY,
    TINY,
    catalog,
    digests,
    kohya_lora,
    model,
    paint,
    request,
    resident,
)
from tests.engine.inside import NETWORKS, alive, modules, pipeline_of


def addresses(engine: Engine) -> list[int]:
    """The address of every parameter of the model."""
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [parameter.data_ptr() for part in parts for parameter in part.parameters()]


def bits(engine: Engine) -> list[bytes]:
    """All weights of the model."""
    parts = [resident(engine).network(name) for name in NETWORKS]
    return [p.detach().numpy().tobytes() for part in parts for p in part.parameters()]


def test_switching_models_and_adapters_moves_nothing(engine: Engine, tmp_path: Path) -> None:
    """Compiled code and captured graphs hold addresses, which must survive every switch."""
    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    first = digests(paint(engine, request(("a", 1.0)), offered))
    where, built = addresses(engine), modules(engine)
    paint(engine, request(("a", 1.0), model="other"), offered)
    assert engine.loaded == "other"
    paint(engine, request(model="other"), offered)
    assert digests(paint(engine, request(("a", 1.0)), offered)) == first
    assert addresses(engine) == where
    assert alive(built) == len(built) > 500


@pytest.mark.long
def test_resting_gives_the_memory_back(engine: Engine) -> None:
    before = digests(paint(engine, request()))
    parts, built = resident(engine).parts, modules(engine)
    engine.rest()
    assert not any(part.present for part in parts.values())
    assert {p.device.type for part in parts.values() for p in part.module.parameters()} == {"meta"}
    assert alive(built) == len(built), "compiled code is bound to the empty modules"
    assert digests(paint(engine, request())) == before


@pytest.mark.long
def test_closing_frees_every_module(fresh: Engine) -> None:
    paint(fresh, request())
    built = modules(fresh)
    assert alive(built) == len(built) > 500
    fresh.close()
    assert alive(built) == 0
    assert fresh.loaded is None


@pytest.mark.long
def test_no_bit_differs_after_a_hundred_sets(engine: Engine, tmp_path: Path) -> None:
    """Fusing and unfusing would have changed half of the weights by then."""
    from tests.engine.sets import set_adapters

    paint(engine, request())
    pristine = bits(engine)
    files = [kohya_lora(tmp_path / f"{n}.safetensors", seed=20 * n) for n in range(6)]
    changed = resident(engine).network("unet").get_submodule(QUERY).weight.detach()
    chance, seen = random.Random(1), set()
    for _ in range(100):
        chosen = chance.sample(files, chance.randrange(1, 5))
        set_adapters(engine, [(path, chance.uniform(-2, 2)) for path in chosen])
        seen.add(changed.numpy().tobytes())
    assert len(seen) == 100
    set_adapters(engine, [])
    assert bits(engine) == pristine


@pytest.mark.long
def test_no_bit_differs_from_the_file_after_a_hundred_sets_in_half_precision(
    models_dir: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    from tests.engine.sets import set_adapters

    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", dtype="bfloat16")
    engine.preload(model("demo", TINY), lambda: None)
    pristine = {}
    for name in NETWORKS[:3]:
        (path,) = (models_dir / TINY / name).glob("*.safetensors")
        for key, tensor in load_file(path).items():
            pristine[name, key.removeprefix("text_model.")] = tensor.bfloat16()

    def differing() -> set[str]:
        return {
            name
            for name in NETWORKS[:3]
            for key, held in resident(engine).network(name).named_parameters()
            if not torch.equal(held, pristine[name, key.removeprefix("text_model.")])
        }

    files = [kohya_lora(tmp_path / f"{n}.safetensors", seed=20 * n) for n in range(4)]
    chance = random.Random(1)
    for _ in range(100):
        chosen = chance.sample(files, chance.randrange(1, 5))
        set_adapters(engine, [(path, chance.uniform(-2, 2)) for path in chosen])
    assert differing() == {*NETWORKS[:3]}
    set_adapters(engine, [])
    assert differing() == set()
    engine.close()


def test_changed_files_are_loaded_again(engine: Engine, models_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models_dir / TINY, tmp_path / "mine")
    offered = catalog([model("mine", str(folder))])
    first = paint(engine, request(model="mine"), offered)
    weights = "unet/diffusion_pytorch_model.safetensors"
    # Not over the old file: weights that are not in RAM are that file, mapped into memory.
    (folder / weights).unlink()
    shutil.copy(models_dir / "other" / weights, folder / weights)
    second = paint(engine, request(model="mine"), offered)
    assert digests(first) != digests(second)
    used = [painting.recipe.checkpoint for painting in (first, second)]
    assert len({weights.sha256 for weights in used if weights}) == 2


@pytest.mark.long
def test_a_model_that_was_half_built_leaves_no_names_behind(
    fresh: Engine, models_dir: Path, tmp_path: Path
) -> None:
    """Adapters are matched with the names of the networks that are loaded."""
    from bot.engine.families import family_of
    from bot.engine.needed import model_files

    offered = catalog(a=kohya_lora(tmp_path / "a.safetensors"))
    expected = digests(paint(fresh, request(("a", 1.0)), offered))
    broken = shutil.copytree(models_dir / TINY, tmp_path / "broken")
    config = json.loads((broken / "unet/config.json").read_text())
    deeper = {**config, "transformer_layers_per_block": 3}
    (broken / "unet/config.json").write_text(json.dumps(deeper))
    (broken / "vae/config.json").write_text("{")
    known = pipeline_of(fresh)._residency.targets
    with pytest.raises(JobFailed) as failure:
        paint(fresh, request(model="broken"), catalog([model("broken", str(broken))]))
    assert failure.value.code == "model.unreadable"
    (broken / "vae/config.json").write_text((models_dir / TINY / "vae/config.json").read_text())
    broken_model = model("broken", str(broken))
    subject = Subject("model", "broken", lambda _: None, lambda: None)
    pipeline = pipeline_of(fresh)
    files = model_files(broken_model, pipeline._sources, subject)
    pipeline._residency._build(files, family_of(broken_model), subject)
    assert len(pipeline._residency.targets) > len(known)
    assert digests(paint(fresh, request(("a", 1.0)), offered)) == expected


@pytest.mark.gpu
def test_a_gpus_memory_is_given_back(models_dir: Path, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", device="cuda")
    paint(engine, request())
    engine.rest()
    floor = torch.cuda.memory_allocated()  # cuBLAS keeps a workspace of its own
    first = digests(paint(engine, request()))
    assert torch.cuda.memory_allocated() > floor
    held = torch.cuda.memory_allocated()
    paint(engine, request(model="other"))
    assert torch.cuda.memory_allocated() == held, "a model takes the place of the one before"
    assert digests(paint(engine, request())) == first
    engine.rest()
    assert torch.cuda.memory_allocated() == floor
