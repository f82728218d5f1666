"""Pictures to edit reach the transformer as those of the stock pipeline do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from bot.engine import Engine, pixels, sampling
from bot.engine.denoise import Guidance, denoise, noise
from bot.engine.families.flux2 import Flux2, references
from bot.errors import JobFailed
from bot.request.editing import Turn
from tests.engine.factories import catalog, model, opened, paint, picture, request, resident
from tests.engine.families.flux2.conftest import BASE, KLEIN
from tests.engine.families.flux2.test_painting import expected
from tests.parameters import mostly_long

SIZES = ((64, 64), (150, 97), (80, 330), (97, 64))


def pictures(count: int) -> list[PIL.Image.Image]:
    return [opened(picture(size, seed)) for seed, size in enumerate(SIZES[:count], 1)]


def edited(
    engine: Engine, name: str, given: Sequence[PIL.Image.Image], guidance: float = 1.0
) -> Any:
    """What comes out of `given` pictures with the tiny model of that name."""
    paint(engine, request(model="x", guidance=1.0, steps=1), catalog([model("x", name)]))
    here, family, size, steps = resident(engine), Flux2(), (64, 64), 4
    here.wake(lambda: None, *family.networks)
    guided = Guidance(scale=guidance, combine=family.guided)
    training = family.training((), engine._models_dir / name, model("x", name), single=False)
    scheduler = sampling.build("Euler", sampling.trained(training), steps)
    times = family.timesteps(training, size, steps)
    sampling.set_steps(scheduler, "Euler", steps, None, "cpu", (), times)
    with torch.inference_mode():
        (prompts,) = family.encode(
            here,
            request(),
            [Turn(0, "a fox", "")],
            (),
            lambda _, run: run(),
            guided=guided.on,
        )
        seen = family.references(here.vae, given, tiled=False)
        conditioning = family.condition(prompts, size, seen)
        generator = torch.Generator().manual_seed(11)
        latents = denoise(
            here.denoiser,
            scheduler,
            scheduler.timesteps,
            noise(family.latent_shape(size), [(generator, 1.0)], "cpu", torch.float32),
            lambda _: conditioning,
            guided,
            generator,
            lambda _, __: None,
        )
        return np.asarray(pixels.decode(family, here.vae, latents, "x", tiled=False))


@pytest.mark.parametrize("count", mostly_long([0, 1, 2, 4], usual=[1, 2]))
def test_distilled(painter: Engine, stock: dict[str, Any], count: int) -> None:
    given = pictures(count)
    ours = edited(painter, KLEIN, given)
    theirs = expected(stock[KLEIN], prompt="a fox", image=given or None)
    assert (ours != theirs).sum() == 0
    if count:
        assert (ours != edited(painter, KLEIN, given[1:])).any()


@pytest.mark.long
def test_base_is_guided(painter: Engine, stock: dict[str, Any]) -> None:
    given = pictures(2)
    ours = edited(painter, BASE, given, guidance=4.0)
    theirs = expected(stock[BASE], prompt="a fox", image=given, guidance_scale=4.0)
    assert (ours != theirs).sum() == 0


@pytest.mark.parametrize("size", [(2000, 900), (1024, 1024), (1030, 1031), (100, 75)])
def test_large_pictures_are_made_smaller_and_cropped(
    stock: dict[str, Any], size: tuple[int, int]
) -> None:
    given, processor = opened(picture(size)), stock[KLEIN].image_processor
    whole = processor._resize_if_exceeds_area(given)
    width, height = (side // 16 * 16 for side in whole.size)
    theirs = processor.preprocess(whole, height=height, width=width, resize_mode="crop")
    ours = processor.preprocess(references.fitted(given))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((63, 200), "picture.small"),
        ((200, 63), "picture.small"),
        ((64, 513), "picture.narrow"),
        ((64, 512), None),
        ((64, 64), None),
    ],
)
def test_what_the_stock_pipeline_refuses_is_refused_in_words(
    stock: dict[str, Any], size: tuple[int, int], code: str | None
) -> None:
    image = PIL.Image.new("RGB", size)
    if code is None:
        stock[KLEIN].image_processor.check_image_input(image)
        assert references.fitted(image).size == size
        return
    with pytest.raises(ValueError, match=r"Image too small|Aspect ratio"):
        stock[KLEIN].image_processor.check_image_input(image)
    with pytest.raises(JobFailed) as failure:
        references.fitted(image)
    assert failure.value.code == code
