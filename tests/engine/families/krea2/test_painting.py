"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from bot.request import Hires, InitImage, Variation
from tests.engine.factories import catalog, opened, paint, picture, request
from tests.engine.families.krea2.conftest import RAW, TURBO, entry
from tests.parameters import mostly_long

PROMPT = "a fox in the snow"


def painted(engine: Engine, name: str, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": 1.0, "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([entry(name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, **options: Any) -> Any:
    """The pixels of the stock pipeline. Its guidance counts from 0."""
    import torch

    usual: dict[str, Any] = {"height": 64, "width": 64, "num_inference_steps": 4}
    usual["guidance_scale"] = 0.0
    usual["generator"] = torch.Generator().manual_seed(11)
    (image,) = pipe(**{"prompt": PROMPT, **usual, **options}).images
    return np.asarray(image)


@pytest.mark.parametrize("name", [TURBO, RAW])
@pytest.mark.parametrize("size", mostly_long([((96, 80),), ((64, 64),)], usual=1))
@pytest.mark.parametrize("steps", mostly_long([1, 4], usual=[4]))
def test_without_guidance(
    painter: Engine, stock: dict[str, Any], name: str, size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, name, width=width, height=height, steps=steps)
    theirs = expected(stock[name], width=width, height=height, num_inference_steps=steps)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


@pytest.mark.parametrize(
    "negative", mostly_long(["", "blurry, and a good deal longer than the prompt " * 3], usual=1)
)
def test_guided_by_a_negative_prompt_of_any_length(
    painter: Engine, stock: dict[str, Any], negative: str
) -> None:
    ours = painted(painter, RAW, guidance=4.5, negative=negative)
    theirs = expected(stock[RAW], guidance_scale=3.5, negative_prompt=negative)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, RAW)).any()


def test_the_variant_decides_about_the_noise_levels(painter: Engine) -> None:
    """As the index of the stock pipeline does, which both have otherwise alike."""
    wanted = request(model="x", guidance=1.0, steps=4)
    found = {
        variant: paint(painter, wanted, catalog([entry(TURBO, variant=variant)]))
        for variant in ("turbo", "raw")
    }
    shifts = {
        variant: painting.recipe.scheduler["base_shift"] for variant, painting in found.items()
    }
    assert shifts == {"turbo": 1.15, "raw": 0.5}
    turbo, raw = (np.asarray(each.images[0].image) for each in found.values())
    assert (turbo != raw).any()


def test_several_images_and_variations(painter: Engine, stock: dict[str, Any]) -> None:
    import torch

    wanted = request(model="x", guidance=1.0, steps=4, count=2)
    both = paint(painter, wanted, catalog([entry(TURBO)])).images
    for number, image in enumerate(both):
        drawn = torch.Generator().manual_seed(11 + number)
        theirs = expected(stock[TURBO], generator=drawn)
        assert (np.asarray(image.image) != theirs).sum() == 0
    varied = painted(painter, TURBO, variation=Variation(5, 0.3))
    assert (varied != np.asarray(both[0].image)).any()


def stock_from_an_image(
    pipe: Any, image: Any, strength: float, generator: Any, **options: Any
) -> Any:
    """What the stock pipeline makes of its own noise and an image, mixed as in rectified flow.

    It has no strength: this is `ZImageImg2ImgPipeline`, with Krea 2's levels, packing and scale.
    """
    import torch
    from diffusers.image_processor import VaeImageProcessor

    steps, (width, height) = 4, image.size
    pixels = VaeImageProcessor(vae_scale_factor=16).preprocess(image)
    vae = pipe.vae
    mean, deviation = (
        torch.tensor(each).view(1, 16, 1, 1)
        for each in (vae.config.latents_mean, vae.config.latents_std)
    )
    clean = (vae.encode(pixels.unsqueeze(2)).latent_dist.mode()[:, :, 0] - mean) / deviation
    noise = torch.randn(clean.shape, generator=generator)
    levels = np.linspace(1.0, 1 / steps, steps)
    pipe.scheduler.set_timesteps(sigmas=levels, mu=1.15)
    first = steps - min(int(steps * strength), steps)
    level = pipe.scheduler.sigmas[first]
    mixed = level * noise + (1.0 - level) * clean
    packed = pipe._pack_latents(mixed, 1, 16, height // 8, width // 8)
    return expected(
        pipe,
        latents=packed,
        sigmas=levels[first:],
        num_inference_steps=steps - first,
        width=width,
        height=height,
        **options,
    )


@pytest.mark.parametrize("strength", mostly_long([0.5, 0.75], usual=[0.5]))
def test_from_an_image(painter: Engine, stock: dict[str, Any], strength: float) -> None:
    import torch

    sha256 = picture()
    ours = painted(painter, TURBO, init_image=InitImage(sha256, strength))
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        theirs = stock_from_an_image(stock[TURBO], opened(sha256), strength, generator)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


@pytest.mark.long
def test_a_second_pass_starts_from_the_enlarged_image(
    painter: Engine, stock: dict[str, Any]
) -> None:
    import PIL.Image
    import torch

    first = PIL.Image.fromarray(painted(painter, TURBO))
    large = first.resize((96, 96), PIL.Image.Resampling.LANCZOS)
    ours = painted(painter, TURBO, hires=Hires(1.5, 0.5, 4))
    drawn = torch.Generator().manual_seed(11)
    torch.randn(1, 16, 8, 8, generator=drawn)  # what the first pass started from
    with torch.no_grad():
        theirs = stock_from_an_image(stock[TURBO], large, 0.5, drawn)
    assert ours.shape == (96, 96, 3)
    assert (ours != theirs).sum() == 0
