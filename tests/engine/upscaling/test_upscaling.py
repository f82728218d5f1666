"""Whole images enlarged: alone, and painted over."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine, repainting
from bot.engine.memory import Profile
from bot.engine.repainting import canvas
from bot.engine.upscaling import upscaling
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.recipe import Recipe
from bot.request import CRISP, REPAINT, GenerationRequest, Upscale
from catalog import Catalog, UpscalerEntry, Upscalers
from tests.engine import factories
from tests.engine.factories import digests, model, opened, picture, request, resident
from tests.engine.upscaling.networks import compact, esrgan, written

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """A catalog of `double` and `four`, and models of which `demo` generates 64×64 at most."""
    folder = tmp_path_factory.mktemp("upscalers")
    files = {
        "double": written(folder / "double.safetensors", compact),
        "four": written(folder / "four.safetensors", esrgan),
    }
    entries = {key: UpscalerEntry(key=key, name=key, path=str(f)) for key, f in files.items()}
    small = model("demo", factories.TINY, max_side=64, max_pixels=64 * 64)
    models = {**factories.catalog().models, "demo": small}
    return Catalog(models, {}, "demo", upscalers=Upscalers(entries))


def crisp(
    size: tuple[int, int] = (60, 40), scale: float = 2.0, upscaler: str = "double", seed: int = 0
) -> GenerationRequest:
    return GenerationRequest(
        prompt="",
        negative="",
        model="",
        steps=0,
        guidance=0.0,
        seed=0,
        width=size[0],
        height=size[1],
        scheduler="",
        upscale=Upscale(picture(size, seed), upscaler, scale, CRISP),
    )


def repaint(size: tuple[int, int], strength: float = 0.5, **fields: Any) -> GenerationRequest:
    over = Upscale(picture(size), "double", 2.0, REPAINT, strength)
    return request(width=size[0], height=size[1], upscale=over, **{"steps": 4, **fields})


def paint(
    engine: Engine,
    wanted: GenerationRequest,
    offered: Catalog,
    report: Callable[[Progress], None] = lambda _: None,
    check_stop: Callable[[], None] = lambda: None,
) -> Painting:
    return factories.paint(engine, wanted, offered, report, check_stop)


def test_it_needs_no_model(fresh: Engine, offered: Catalog) -> None:
    painting = paint(fresh, crisp(), offered)
    assert fresh.loaded is None
    [painted] = painting.images
    assert (painted.image.size, painted.image.mode) == ((120, 80), "RGB")
    recipe = painting.recipe
    assert recipe.checkpoint is None
    assert recipe.upscaler
    assert (recipe.upscaler.name, len(recipe.upscaler.sha256)) == ("double", 64)
    said = recipe.environment
    assert (said["upscaler"], said["upscaler_dtype"]) == ("Compact", "float32")
    assert {"device", "dtype", "torch", "engine", "pillow", "upscaler_tile"} <= said.keys()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("upscaler", ["double", "four"])
@pytest.mark.parametrize("scale", [1.5, 2.0, 3.0, 4.0])
def test_the_size_is_what_was_asked_for(
    engine: Engine, offered: Catalog, upscaler: str, scale: float
) -> None:
    asked = crisp((31, 21), scale, upscaler)
    image = paint(engine, asked, offered).images[0].image
    assert image.size == asked.final_size == (round(31 * scale), round(21 * scale))


def test_what_is_too_large_is_scaled_down_from_what_the_network_made(
    engine: Engine, offered: Catalog
) -> None:
    whole = paint(engine, crisp(scale=4.0, upscaler="four"), offered).images[0].image
    half = paint(engine, crisp(scale=2.0, upscaler="four"), offered).images[0].image
    assert half.tobytes() == whole.resize((120, 80), PIL.Image.Resampling.LANCZOS).tobytes()


def test_the_same_request_gives_the_same_bytes_whatever_ran_before(
    engine: Engine, fresh: Engine, offered: Catalog
) -> None:
    first = digests(paint(fresh, crisp(), offered))
    for other in (crisp(upscaler="four"), crisp((90, 90), seed=3), request()):
        paint(engine, other, offered)
    assert digests(paint(engine, crisp(), offered)) == first
    assert digests(paint(engine, crisp(seed=1), offered)) != first


def test_a_model_stays_and_paints_as_before(engine: Engine, offered: Catalog) -> None:
    before = digests(paint(engine, request(), offered))
    model_before = resident(engine)
    paint(engine, crisp(), offered)
    assert engine.loaded == "demo"
    assert resident(engine) is model_before
    assert digests(paint(engine, request(), offered)) == before


def test_tiles_do_not_show(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = paint(engine, crisp((150, 120)), offered).images[0].image
    monkeypatch.setattr(upscaling, "TILE_ON_CPU", 64)
    seen: list[Progress] = []
    tiled = paint(engine, crisp((150, 120)), offered, report=seen.append)
    counted = [(p.step, p.steps) for p in seen if p.stage is Stage.UPSCALING]
    assert counted == [(n, 12) for n in range(13)]
    apart = np.asarray(whole).astype(int) - np.asarray(tiled.images[0].image)
    assert abs(apart).max() <= 1
    assert tiled.recipe.environment["upscaler_tile"] == "64, overlapping by 32"


def test_it_stops_between_two_tiles_and_goes_on_with_the_next_request(
    engine: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaling, "TILE_ON_CPU", 64)
    seen: list[Progress] = []

    def check() -> None:
        if any(p.step == 2 for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(engine, crisp((150, 120)), offered, seen.append, check)
    assert max(p.step for p in seen) == 2
    assert paint(engine, crisp(), offered).images[0].image.size == (120, 80)


@pytest.mark.long
def test_without_memory_for_its_tiles_it_tries_smaller_ones(
    fresh: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from bot.engine.upscaling.network import Network

    made = Network.enlarged
    failed: list[int] = []

    def short(self: Network, pixels: Any, device: str) -> Any:
        if not failed:
            failed.append(1)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return made(self, pixels, device)

    monkeypatch.setattr(Network, "enlarged", short)
    painting = paint(fresh, crisp(), offered)
    assert [notice.code for notice in painting.warnings] == ["memory.lowered"]
    sides = [upscaling.tile_side("cuda", profile) for profile in Profile]
    assert sides == sorted(sides, reverse=True)
    assert len({*sides}) == len(sides)


def test_a_file_that_changed_is_read_again(
    engine: Engine, tmp_path: Path, offered: Catalog
) -> None:
    file = written(tmp_path / "own.safetensors", compact)
    own = UpscalerEntry(key="own", name="own", path=str(file))
    catalog = replace(offered, upscalers=Upscalers({"own": own}))
    first = paint(engine, crisp(upscaler="own"), catalog)
    written(file, compact, seed=2)
    second = paint(engine, crisp(upscaler="own"), catalog)
    assert digests(first) != digests(second)
    assert first.recipe.upscaler != second.recipe.upscaler
    file.unlink()
    with pytest.raises(JobFailed) as failure:
        paint(engine, crisp(upscaler="own"), catalog)
    assert (failure.value.code, failure.value.params["upscaler"]) == ("upscaler.missing", "own")


def test_an_upscaler_that_is_gone_is_said(engine: Engine, offered: Catalog) -> None:
    with pytest.raises(JobFailed) as failure:
        paint(engine, crisp(upscaler="lost"), offered)
    assert (failure.value.code, failure.value.params) == ("upscaler.gone", {"upscaler": "lost"})


@pytest.mark.long
def test_a_little_repainting_keeps_the_image_and_more_changes_it(
    engine: Engine, offered: Catalog
) -> None:
    """An untrained VAE reproduces no image, so compare two seeds: less strength, more alike."""

    def apart(strength: float) -> float:
        images = [
            paint(engine, repaint((30, 22), strength, steps=20, seed=seed), offered).images[0].image
            for seed in (1, 2)
        ]
        one, two = (np.asarray(image).astype(int) for image in images)
        assert images[0].size == (60, 44)
        return float(abs(one - two).mean())

    assert apart(0.05) < apart(0.5) < apart(1.0)


@pytest.mark.long
def test_a_large_image_is_repainted_in_tiles(
    engine: Engine, fresh: Engine, offered: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repainting, "fits_whole", lambda *_: False)
    seen: list[Progress] = []
    asked = repaint((50, 45))
    painting = paint(engine, asked, offered, report=seen.append)
    assert painting.images[0].image.size == (100, 90)
    steps = [(p.step, p.steps) for p in seen if p.stage is Stage.PAINTING]
    assert list(dict.fromkeys(steps)) == [(n, 8) for n in range(9)]  # 2 × 2 tiles of 2 steps
    recipe = painting.recipe
    assert recipe.checkpoint
    assert recipe.upscaler
    assert recipe.environment["upscaler"] == "Compact"
    paint(fresh, request(seed=3), offered)
    assert digests(paint(fresh, asked, offered)) == digests(painting)


def test_an_image_as_large_as_a_second_pass_may_be_is_repainted_whole() -> None:
    entry = model("demo", factories.TINY)
    image = opened(picture((61, 120)))
    whole = canvas(image, entry)
    assert (whole.tiles.count, whole.tile, whole.size) == (1, (64, 120), (61, 120))
    assert (np.asarray(whole.image)[:, 61:] == np.asarray(whole.image)[:, 60:61]).all()
    assert canvas(image.resize((2048, 2048)), entry).tiles.count == 1
    for size in ((2049, 2048), (3080, 64)):
        larger = canvas(image.resize(size), entry)
        assert larger.tile == (64, 64)
        assert all(place % 8 == 0 for place in (*larger.tiles.lefts, *larger.tiles.tops))
