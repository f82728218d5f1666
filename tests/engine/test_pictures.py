"""Initial images, and the second, larger pass over the finished image."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.progress import Progress, Stage
from bot.recipe import Recipe
from bot.request import Hires, InitImage
from tests.engine import factories
from tests.engine.factories import (
    TINY,
    digests,
    opened,
    paint,
    picture,
    plain_pipeline,
    request,
    resident,
)
from tests.parameters import mostly_long

CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
}


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    """The same model in diffusers' image-to-image pipeline."""
    from diffusers import StableDiffusionXLImg2ImgPipeline

    pipeline = plain_pipeline(models_dir / TINY)
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    over = StableDiffusionXLImg2ImgPipeline(**parts)
    over.set_progress_bar_config(disable=True)
    return over


def expected(plain: Any, scheduler: str, image: Any, **options: Any) -> Any:
    import diffusers
    import torch

    kind, config = KINDS[scheduler]
    plain.scheduler = getattr(diffusers, kind)(**CONFIG, **config)
    fields: dict[str, Any] = {
        "guidance_scale": 5.0,
        "num_inference_steps": 5,
        "generator": torch.Generator().manual_seed(11),
    }
    return plain("a fox in the snow", image=image, **{**fields, **options})


@pytest.mark.parametrize("scheduler", mostly_long(KINDS, usual=2))
@pytest.mark.parametrize("strength", mostly_long([0.4, 1.0], usual=1))
def test_paints_over_as_diffusers_does(
    engine: Engine, plain: Any, scheduler: str, strength: float
) -> None:
    sha256 = picture((72, 64))
    over = InitImage(sha256, strength)
    asked = request(init_image=over, scheduler=scheduler, steps=5, width=72)
    painted = paint(engine, asked).images[0]
    image = opened(sha256)
    theirs = expected(plain, scheduler, image, strength=strength).images[0]
    assert painted.image.tobytes() == theirs.tobytes()


def test_image_n_is_painted_over_the_same_picture(engine: Engine) -> None:
    over = InitImage(picture(), 0.6)
    batch = paint(engine, request(init_image=over, count=2))
    alone = paint(engine, request(init_image=over, seed=12))
    assert digests(batch)[1:] == digests(alone)
    assert len(set(digests(batch))) == 2


@pytest.mark.parametrize("size", [(64, 64), (200, 100), (31, 90)])
def test_a_picture_of_any_size_is_fitted(engine: Engine, size: tuple[int, int]) -> None:
    over = InitImage(picture(size), 0.5)
    assert paint(engine, request(init_image=over, width=72)).images[0].image.size == (72, 64)


def test_fitting_takes_the_middle(models_dir: Path) -> None:
    import PIL.Image

    from bot.engine import pixels

    image = PIL.Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    fitted = pixels.fitted(image, 64, 64)
    assert fitted.size == (64, 64)
    assert [fitted.getpixel((x, 32)) for x in (8, 32, 56)] == [(0, 0, 255)] * 3


@pytest.mark.long
def test_little_strength_keeps_the_picture(engine: Engine) -> None:
    """An untrained VAE reproduces no image, so compare two seeds: less strength, more alike."""
    sha256 = picture(seed=3)

    def apart(strength: float) -> float:
        pictures = [
            paint(engine, request(init_image=InitImage(sha256, strength), steps=20, seed=seed))
            for seed in (1, 2)
        ]
        one, two = (painting.images[0].image.tobytes() for painting in pictures)
        return sum(abs(a - b) for a, b in zip(one, two, strict=True)) / len(one)

    assert apart(0.1) < apart(0.5) < apart(1.0)


@pytest.mark.parametrize(
    "png", mostly_long([b"", b"GIF89a", b"\x89PNG\r\n\x1a\n and no more"], usual=[b"GIF89a"])
)
def test_a_picture_that_is_damaged_is_said(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, png: bytes
) -> None:
    before = digests(paint(engine, request()))
    monkeypatch.setitem(factories.KEPT, "0" * 64, png)
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(init_image=InitImage("0" * 64, 0.5)))
    assert (failure.value.code, failure.value.params) == ("picture.gone", {})
    assert digests(paint(engine, request())) == before


@pytest.mark.parametrize("scheduler", mostly_long(["Euler", "Heun"], usual=1))
@pytest.mark.parametrize(("strength", "taken"), [(0.05, 1), (0.5, 3), (1.0, 6)])
def test_the_steps_that_are_run_are_reported(
    engine: Engine, scheduler: str, strength: float, taken: int
) -> None:
    seen: list[Progress] = []
    over = InitImage(picture(), strength)
    asked = request(init_image=over, steps=6, scheduler=scheduler)
    paint(engine, asked, report=seen.append)
    steps = [(p.step, p.steps) for p in seen if p.stage is Stage.PAINTING]
    assert list(dict.fromkeys(steps)) == [(n, taken) for n in range(taken + 1)]


@pytest.mark.long
def test_the_second_pass_is_larger_and_said(engine: Engine) -> None:
    seen: list[Progress] = []
    asked = request(hires=Hires(1.5, 0.5, 4), steps=2, count=2)
    painting = paint(engine, asked, report=seen.append)
    assert [image.image.size for image in painting.images] == [(96, 96)] * 2
    stages = [
        (p.image, p.larger, p.stage, p.steps)
        for p in seen
        if p.stage in (Stage.PAINTING, Stage.DECODING)
    ]
    assert list(dict.fromkeys(stages)) == [
        (image, larger, stage, 2)
        for image in (1, 2)
        for larger in (False, True)
        for stage in (Stage.PAINTING, Stage.DECODING)
    ]
    text = json.dumps(painting.recipe.to_dict())
    assert Recipe.from_dict(json.loads(text)) == painting.recipe
    assert painting.recipe.request.final_size == (96, 96)
    assert "pillow" in painting.recipe.environment
    assert digests(paint(engine, asked)) == digests(painting)


@pytest.mark.long
def test_the_second_pass_is_what_diffusers_paints_over_the_first(
    engine: Engine, plain: Any
) -> None:
    import PIL.Image
    import torch

    asked = request(scheduler="DPM++ 2M Karras", steps=5)
    first = paint(engine, asked).images[0].image
    second = paint(engine, request(hires=Hires(1.5, 0.4, 5), scheduler="DPM++ 2M Karras", steps=5))
    larger = first.resize((96, 96), PIL.Image.Resampling.LANCZOS)
    generator = torch.Generator().manual_seed(11)
    torch.randn((1, 4, 8, 8), generator=generator)  # what the first pass started from
    options = {"strength": 0.4, "generator": generator}
    theirs = expected(plain, "DPM++ 2M Karras", larger, **options).images[0]
    assert second.images[0].image.tobytes() == theirs.tobytes()


def test_tiling_is_chosen_by_the_final_size(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.engine.families.sdxl.memory import WHOLE
    from bot.engine.memory import Profile

    monkeypatch.setitem(WHOLE, Profile.FULL, 80 * 80)
    decoding = {
        key: paint(engine, asked).recipe.environment["decoding"]
        for key, asked in (("small", request()), ("large", request(hires=Hires(1.5, 0.4, 2))))
    }
    assert decoding == {"small": "whole", "large": "tiled"}
    assert resident(engine).vae.use_tiling
