"""Previews: what they show, when they are made, and that they have no effect on the image."""

import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from bot.engine import Engine
from bot.progress import Progress, Stage
from bot.request import Area, InitImage
from tests.engine.factories import digests, paint, picture, request
from tests.engine.test_inpainting import mask
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


TRAINED = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
PREDICTIONS = ["epsilon", "v_prediction", "sample"]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(jpeg: bytes) -> PIL.Image.Image:
    image = PIL.Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    image.load()
    return image


def previews(engine: Engine, **fields: Any) -> tuple[list[Progress], list[str]]:
    seen: list[Progress] = []
    painting = paint(engine, request(**fields), report=seen.append)
    return [progress for progress in seen if progress.stage is Stage.PAINTING], digests(painting)


def test_the_map_is_diffusers_documented_one(models_dir: Path) -> None:
    """Each channel alone, against the products written out."""
    import torch

    from bot.engine.families.sdxl.latents import PREVIEW
    from bot.engine.preview import picture

    latents = torch.zeros(1, 4, 2, 3)
    assert picture(latents, PREVIEW).getpixel((2, 1)) == (150, 140, 130)
    assert picture(latents, PREVIEW).size == (3, 2)
    for channel, expected in enumerate(
        [(210, 200, 190), (90, 135, 140), (175, 155, 125), (80, 90, 95)]
    ):
        latents.zero_()[0, channel, 1, 2] = 1.0
        assert picture(latents, PREVIEW).getpixel((2, 1)) == expected, channel
        assert picture(latents, PREVIEW).getpixel((1, 1)) == (150, 140, 130)
    assert picture(torch.full((1, 4, 1, 1), 1e4).half(), PREVIEW).getpixel((0, 0)) == (0, 255, 255)
    assert picture(torch.full((1, 4, 1, 1), float("nan")), PREVIEW).size == (1, 1)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(128, 128, (256, 256)), (152, 104, (256, 175)), (8, 9, (228, 256)), (512, 1, (256, 1))],
)
def test_the_longer_side_has_256_pixels(
    models_dir: Path, width: int, height: int, size: tuple[int, int]
) -> None:
    from bot.engine.preview import encoded

    colour = (200, 40, 90)
    image = opened(encoded(PIL.Image.new("RGB", (width, height), colour)))
    assert image.size == size
    found = image.getpixel((0, 0))
    assert isinstance(found, tuple)
    assert max(abs(a - b) for a, b in zip(found, colour, strict=True)) <= 3


def test_one_in_an_interval_and_nothing_is_worked_out_between(models_dir: Path) -> None:
    import torch

    from bot.engine.families.sdxl.latents import PREVIEW
    from bot.engine.preview import Preview

    clock, worked_out = Clock(), []

    def estimate() -> torch.Tensor:
        worked_out.append(clock.now)
        clock.now += 0.5  # it takes a while
        return torch.zeros(1, 4, 8, 8)

    preview = Preview(2.0, clock)
    found = []
    for _ in range(40):
        found.append(preview.of(estimate, PREVIEW))
        clock.now += 0.25
    assert worked_out == [102.0, 104.5, 107.0, 109.5]
    assert sum(jpeg is not None for jpeg in found) == 4


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("Euler", "Euler trailing", "DDIM") for kind in PREDICTIONS]
    # For these two, diffusers does not implement the third kind.
    + [(name, kind) for name in ("Euler a", "Heun") for kind in PREDICTIONS[:2]],
)
def test_the_estimate_is_the_schedulers_own(models_dir: Path, name: str, kind: str) -> None:
    """They return theirs; at each of ten steps."""
    import torch

    from bot.engine import sampling
    from bot.engine.denoise import clean

    scheduler = sampling.build(name, {**TRAINED, "prediction_type": kind}, 10)
    scheduler.set_timesteps(10)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        seen = scheduler.scale_model_input(latents, timestep)
        predicted = torch.randn(1, 4, 8, 8, generator=generator)
        estimate = clean(scheduler, timestep, seen, predicted)
        stepped = scheduler.step(predicted, timestep, latents, return_dict=True)
        theirs = stepped.pred_original_sample
        assert torch.allclose(estimate, theirs, rtol=1e-4, atol=1e-4), timestep
        latents = stepped.prev_sample


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("name", ["DPM++ 2M", "DPM++ 2M SDE", "UniPC"])
def test_the_estimate_is_what_a_solver_keeps(models_dir: Path, name: str, kind: str) -> None:
    """Without Karras' noise levels, which these solvers round to a training timestep."""
    import torch

    from bot.engine import sampling
    from bot.engine.denoise import clean

    scheduler = sampling.build(name, {**TRAINED, "prediction_type": kind}, 10)
    scheduler.set_timesteps(10)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(1, 4, 8, 8, generator=generator)
    for timestep in scheduler.timesteps:
        predicted = torch.randn(1, 4, 8, 8, generator=generator)
        estimate = clean(scheduler, timestep, latents, predicted)
        latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        theirs = scheduler.model_outputs[-1]
        assert torch.allclose(estimate, theirs, rtol=1e-4, atol=1e-4), timestep


SCHEDULERS = ["DPM++ 2M Karras", "DPM++ SDE Karras", "Euler a", "Heun", "UniPC", "LCM", "TCD"]


@pytest.mark.parametrize("scheduler", mostly_long(SCHEDULERS, usual=1))
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_previews_change_no_byte(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, scheduler: str, guidance: float
) -> None:
    asked: dict[str, Any] = {"scheduler": scheduler, "guidance": guidance, "steps": 5, "count": 2}
    without, expected = previews(engine, **asked)
    monkeypatch.setattr(engine, "preview_interval", 0.0)
    with_, got = previews(engine, **asked)
    assert got == expected
    assert {progress.preview for progress in without} == {None}
    pictured = {(p.image, p.step) for p in with_ if p.preview}
    # At every step but the last, where the image itself is about to follow.
    assert pictured == {(image, step) for image in (1, 2) for step in range(1, 5)}
    assert "JFIF" not in repr(with_)


def test_of_a_part_that_is_painted_alone_nothing_is_shown_in_place_of_the_image(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked = mask((20, 20, 40, 40), (64, 64))
    init = InitImage(picture(), 1.0, masked, area=Area(8, 64, 64))
    monkeypatch.setattr(engine, "preview_interval", 0.0)
    seen, _ = previews(engine, steps=4, init_image=init)
    assert {progress.preview for progress in seen} == {None}
    assert {progress.preview for progress in previews(engine, steps=4)[0]} != {None}


@pytest.mark.long
def test_a_preview_has_the_shape_of_the_picture_and_tells_it_early(
    models_dir: Path, tmp_path: Path
) -> None:
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", preview_interval=0.0)
    seen, _ = previews(engine, width=128, height=64, steps=8)
    engine.close()
    shown = [opened(progress.preview) for progress in seen if progress.preview]
    assert {image.size for image in shown} == {(256, 128)}
    last = shown[-1].tobytes()

    def distance(image: PIL.Image.Image) -> float:
        return sum(abs(a - b) for a, b in zip(image.tobytes(), last, strict=True))

    first, *_, late, _ = map(distance, shown)
    assert late < first
