"""A ControlNet that follows depth: of the image, as the estimator tells it, once for all passes."""

import hashlib
import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from bot.engine import Engine
from bot.engine.controls import maps
from bot.engine.controls.depth import DepthEstimator, seen
from bot.errors import JobFailed
from bot.request import ControlUse, Hires
from catalog import Catalog, DepthEntry
from tests.engine.controls import depth_anything, tiny
from tests.engine.controls.depth_anything import PATCH, SIDE
from tests.engine.factories import (
    KEPT,
    TINY,
    catalog,
    digests,
    opened,
    paint,
    picture,
    plain_pipeline,
    request,
)

KEY = "controlnet"


@pytest.fixture(scope="module")
def network() -> Any:
    return depth_anything.module()


@pytest.fixture
def folder(network: Any, tmp_path: Path) -> Path:
    depth_anything.write(tmp_path / "depth", network)
    return tmp_path / "depth"


@pytest.fixture
def offered(models_dir: Path, folder: Path, tmp_path: Path) -> Catalog:
    made = tiny.network(plain_pipeline(models_dir / TINY).unet, KEY)
    paths = {KEY: tiny.write(tmp_path / KEY, made)}
    return catalog(controlnets=tiny.offered(paths, DepthEntry(path=str(folder))))


def kept(image: PIL.Image.Image) -> str:
    """Store an input image; returns its sha256."""
    file = io.BytesIO()
    image.save(file, "PNG")
    sha256 = hashlib.sha256(file.getvalue()).hexdigest()
    KEPT[sha256] = file.getvalue()
    return sha256


def test_it_follows_the_depth_of_the_image(engine: Engine, network: Any, offered: Catalog) -> None:
    sha256 = picture((80, 50), seed=8)
    painted = paint(engine, request(controls=(ControlUse(KEY, sha256, "depth"),)), offered)
    image = opened(sha256)
    with torch.no_grad():
        told = network(torch.from_numpy(seen(image, SIDE, PATCH))).predicted_depth[0].numpy()
    map_ = maps.prepared(image, "depth", (64, 64), depth=PIL.Image.fromarray(told))
    finished = ControlUse(KEY, kept(map_), "depth", is_map=True)
    assert digests(painted) == digests(paint(engine, request(controls=(finished,)), offered))
    assert digests(painted) != digests(paint(engine, request(), offered))
    recipe = painted.recipe
    assert recipe.depth is not None
    assert "opencv" not in recipe.environment


def test_the_depth_of_an_image_is_told_once_for_all_passes(
    fresh: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    inner = DepthEstimator._estimate

    def estimating(self: DepthEstimator, *asked: Any) -> PIL.Image.Image:
        told.append(asked)
        return inner(self, *asked)

    monkeypatch.setattr(DepthEstimator, "_estimate", estimating)
    use = ControlUse(KEY, picture((80, 50), seed=8), "depth")
    asked = request(controls=(use,), hires=Hires(1.5, 0.5, 2))
    assert digests(paint(fresh, asked, offered)) == digests(paint(fresh, asked, offered))
    assert len(told) == 1
    # Of an image that is the map already it is not told.
    finished = ControlUse(KEY, picture(seed=9), "depth", is_map=True)
    paint(fresh, request(controls=(use, finished)), offered)
    paint(fresh, request(controls=(ControlUse(KEY, picture(seed=9), "tile"),)), offered)
    assert len(told) == 1


def test_an_estimator_that_cannot_be_used_is_named(
    engine: Engine, folder: Path, offered: Catalog
) -> None:
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(JobFailed) as failed:
        paint(engine, request(controls=(ControlUse(KEY, picture(), "depth"),)), offered)
    assert failed.value.code == "depth.not_safetensors"
    assert failed.value.params["depth"] == folder.name
