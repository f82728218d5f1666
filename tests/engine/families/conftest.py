"""The tiny models of the families, beside those of SDXL."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.request import ControlUse, GenerationRequest, Reference
from catalog import Catalog, DepthEntry, DetectorEntry, PoseEntry
from catalog.families import FAMILIES


@pytest.fixture(scope="session")
def sd15_dir(models_dir: Path) -> Path:
    """`models_dir` with `sd15` and `sd15-other`, of one shape with other weights."""
    from tests.engine.families.sd15 import tiny_model

    tiny_model.build(models_dir / "sd15")
    tiny_model.build(models_dir / "sd15-other", seed=7)
    return models_dir


@pytest.fixture(scope="session")
def every(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has a tiny model of each family, by its key, and for each a LoRA of the same name for every
    matrix of its denoiser."""
    from bot.engine.families import FAMILIES as ENGINES
    from tests.engine.factories import pair, save
    from tests.engine.families.flux2.files import stored
    from tests.engine.families.test_complete import TINY

    folder = tmp_path_factory.mktemp("every")
    for key, build in TINY.items():
        build(folder / key)
        denoiser = ENGINES[key].denoiser
        tensors: dict[str, Any] = {}
        for number, (name, tensor) in enumerate(sorted(stored(folder / key, denoiser).items())):
            if name.endswith(".weight") and tensor.ndim == 2 and "embedding" not in name:
                down, up = pair(tuple(tensor.shape), seed=number)
                path = f"{denoiser}.{name.removesuffix('.weight')}"
                tensors |= {f"{path}.lora_A.weight": down, f"{path}.lora_B.weight": up}
        save(folder / f"{key}.safetensors", tensors)
    return folder


@pytest.fixture(scope="session")
def offered(every: Path) -> Catalog:
    """The models and LoRAs of `every`, by their keys."""
    from tests.engine.factories import catalog, model

    models = [model(key, key, family=family) for key, family in FAMILIES.items()]
    loras: dict[str, Any] = {key: every / f"{key}.safetensors" for key in FAMILIES}
    return catalog(models, **loras)


@pytest.fixture
def opened(every: Path) -> Iterator[Callable[..., Engine]]:
    """Opens engines with the models of `every`, which are closed at the end."""
    engines = []

    def new(**options: Any) -> Engine:
        hashes = every / "hashes.json"
        options = {"models_dir": every, "hashes_file": hashes, **options}
        engines.append(Engine(**options))
        return engines[-1]

    yield new
    for engine in engines:
        engine.close()


@pytest.fixture
def followed(models_dir: Path, tmp_path: Path) -> tuple[GenerationRequest, Catalog]:
    """A request that follows images in all ways there are, and the catalog for it."""
    from tests.engine import ip_adapter
    from tests.engine.controls import depth_anything, tiny
    from tests.engine.factories import TINY, catalog, picture, plain_pipeline, request

    unet = plain_pipeline(models_dir / TINY).unet
    paths = {
        kind: tiny.write(tmp_path / kind, tiny.network(unet, kind))
        for kind in ("controlnet", "union")
    }
    depth_anything.write(tmp_path / "depth", depth_anything.module())
    ip_adapter.build(tmp_path / "ip", unet, "plus")
    offered = catalog(
        reference=ip_adapter.entry(tmp_path / "ip"),
        controlnets=tiny.offered(paths, DepthEntry(path=str(tmp_path / "depth"))),
    )
    sha256 = picture((80, 50), seed=8)
    controls = (ControlUse("controlnet", sha256, "depth"), ControlUse("union", sha256, "canny"))
    return request(controls=controls, reference=Reference(sha256, 0.7)), offered


@pytest.fixture
def posed(models_dir: Path, tmp_path: Path) -> tuple[GenerationRequest, Catalog]:
    """A request that follows the poses of people who are found, and the catalog for it."""
    from tests.engine import grounding_dino
    from tests.engine.controls import tiny, vitpose
    from tests.engine.factories import TINY, catalog, picture, plain_pipeline, request

    made = tiny.network(plain_pipeline(models_dir / TINY).unet, "controlnet")
    nets = tiny.offered({"controlnet": tiny.write(tmp_path / "controlnet", made)})
    vitpose.write(tmp_path / "pose", vitpose.module(simple=False, mixed=True))
    grounding_dino.write(tmp_path / "finds", grounding_dino.module())
    offered = catalog(
        controlnets=replace(nets, pose=PoseEntry(path=str(tmp_path / "pose"))),
        detector=DetectorEntry(path=str(tmp_path / "finds")),
    )
    use = ControlUse("controlnet", picture((80, 50), seed=8), "openpose", of_photo=True)
    return request(controls=(use,)), offered
