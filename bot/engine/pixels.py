"""Between latents and pictures: the VAE, in one piece or in tiles."""

from typing import Any

import PIL.Image
import torch
from diffusers.image_processor import VaeImageProcessor

from bot.engine.denoise import VAE_SCALE
from bot.engine.memory import TILE
from bot.errors import JobFailed


def decode(vae: Any, latents: torch.Tensor, model: str, *, tiled: bool) -> PIL.Image.Image:
    """Latents, shape (1, 4, height/8, width/8), to an RGB picture; JobFailed if it is black.

    tiled: in tiles of TILE pixels a side, which takes less memory and gives other bits.
    """
    if not bool(latents.isfinite().all()):
        raise JobFailed("image.diverged", model=model)
    _tile(vae, tiled=tiled)
    latents = latents.to(vae.dtype)
    moments = _moments(vae, latents)
    if moments:
        mean, deviation = moments
        latents = latents * deviation / vae.config.scaling_factor + mean
    else:
        latents = latents / vae.config.scaling_factor
    pixels = vae.decode(latents, return_dict=False)[0]
    if not bool(pixels.isfinite().all()):
        raise JobFailed("image.not_finite", model=model)
    image: PIL.Image.Image = _processor().postprocess(pixels, output_type="pil")[0]
    if not image.getbbox():  # nothing but zeros
        raise JobFailed("image.black", model=model)
    return image


def distribution(vae: Any, image: PIL.Image.Image, *, tiled: bool) -> Any:
    """What `drawn` draws latents from: an RGB picture, sides multiples of 8, as the VAE sees it.

    tiled: as of `decode`.
    """
    _tile(vae, tiled=tiled)
    pixels = _processor().preprocess(image).to(vae.device, vae.dtype)
    return vae.encode(pixels).latent_dist


def drawn(
    vae: Any, distribution: Any, generator: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    """Latents of `dtype` from a `distribution`, as diffusers' image-to-image pipelines draw them.

    generator: used before the noise of the same picture is drawn from it.
    """
    latents = distribution.sample(generator).to(dtype)
    moments = _moments(vae, latents)
    scaled: torch.Tensor = (
        (latents - moments[0]) * vae.config.scaling_factor / moments[1]
        if moments
        else vae.config.scaling_factor * latents
    )
    return scaled


def fitted(image: PIL.Image.Image, width: int, height: int) -> PIL.Image.Image:
    """`image` scaled to cover width × height, and cropped to it from the middle."""
    scale = max(width / image.width, height / image.height)
    across, down = width / scale, height / scale
    left, top = (image.width - across) / 2, (image.height - down) / 2
    return image.convert("RGB").resize(
        (width, height), PIL.Image.Resampling.LANCZOS, (left, top, left + across, top + down)
    )


def _processor() -> Any:
    return VaeImageProcessor(vae_scale_factor=VAE_SCALE)


def _moments(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and deviation of each channel, of the VAEs that say so."""
    if vae.config.latents_mean is None or vae.config.latents_std is None:
        return None
    mean, deviation = (
        torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation


def _tile(vae: Any, *, tiled: bool) -> None:
    vae.use_tiling = tiled
    vae.tile_sample_min_size = TILE
    vae.tile_latent_min_size = TILE // VAE_SCALE
