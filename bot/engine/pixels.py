"""Images, from files and to and from latents: the VAE, in one piece or in tiles."""

import io
from functools import partial
from typing import Any

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from bot.engine import seamless
from bot.engine.families import Family
from bot.errors import JobFailed


def decoded(png: bytes) -> PIL.Image.Image:
    """Decode an input image. Raises JobFailed when it is not a complete PNG file."""
    try:
        with PIL.Image.open(io.BytesIO(png), formats=("PNG",)) as file:
            return file.convert("RGB")
    except (OSError, ValueError):
        raise JobFailed("picture.gone") from None


def decode(
    family: Family, vae: Any, latents: torch.Tensor, model: str, *, tiled: bool, wraps: bool = False
) -> PIL.Image.Image:
    """Decode latents of `Family.latent_shape` to an RGB image.

    tiled: in tiles, which takes less memory and gives other bits. wraps: so that opposite edges
    meet.
    Raises JobFailed when latents or pixels are not finite, or when the image is black.
    """
    if not bool(latents.isfinite().all()):
        raise JobFailed("image.diverged", model=model)
    latents, call = latents.to(vae.dtype), partial(family.decode, vae, tiled=tiled)
    if wraps:
        pixels = seamless.decoded(call, latents, family.vae_scale, tiled=tiled)
    else:
        pixels = call(latents)
    if not bool(pixels.isfinite().all()):
        raise JobFailed("image.not_finite", model=model)
    image: PIL.Image.Image = _processor(family).postprocess(pixels, output_type="pil")[0]
    if not image.getbbox():  # nothing but zeros
        raise JobFailed("image.black", model=model)
    return image


def distribution(
    family: Family, vae: Any, image: PIL.Image.Image, *, tiled: bool, wraps: bool = False
) -> Any:
    """The VAE's distribution of an image's latents, for `drawn`.

    image: RGB, its sides multiples of `family.vae_scale`. tiled, wraps: as in `decode`.
    """
    pixels = _processor(family).preprocess(image).to(vae.device, vae.dtype)
    call = partial(family.distribution, vae, tiled=tiled)
    if wraps:
        return seamless.distribution(call, pixels, family.vae_scale, tiled=tiled)
    return call(pixels)


def drawn(
    family: Family,
    vae: Any,
    distribution: Any,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Latents of `dtype` from a `distribution`, as diffusers' image-to-image pipelines draw them.

    generator: used before the image's noise is drawn from it.
    """
    return family.scaled(vae, distribution.sample(generator).to(dtype))


def fitted(
    image: PIL.Image.Image,
    width: int,
    height: int,
    resampling: PIL.Image.Resampling = PIL.Image.Resampling.LANCZOS,
) -> PIL.Image.Image:
    """`image` scaled to cover width × height, and cropped to it around its centre."""
    box = covering(image.size, width, height)
    return image.convert("RGB").resize((width, height), resampling, box)


def covering(size: tuple[int, int], width: int, height: int) -> tuple[float, float, float, float]:
    """The part of an image of `size` that `fitted` shows: its left, top, right and bottom."""
    scale = max(width / size[0], height / size[1])
    across, down = width / scale, height / scale
    left, top = (size[0] - across) / 2, (size[1] - down) / 2
    return left, top, left + across, top + down


def _processor(family: Family) -> Any:
    return VaeImageProcessor(vae_scale_factor=family.vae_scale)
