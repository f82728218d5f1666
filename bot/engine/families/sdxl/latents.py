"""SDXL's latents: their shape, their scale and their preview colours. Imports torch."""

from typing import Any, Final

import torch

from bot.engine.families.family import PreviewFactors

CHANNELS: Final = 4
VAE_SCALE: Final = 8
SCALE: Final = 0.13025
"""`scaling_factor` of SDXL's own VAE."""

PREVIEW: Final = PreviewFactors(
    weights=(
        (60.0, -60.0, 25.0, -70.0),
        (60.0, -5.0, 15.0, -50.0),
        (60.0, 10.0, -5.0, -35.0),
    ),
    biases=(150.0, 140.0, 130.0),
)
"""From diffusers' documentation, docs/source/en/using-diffusers/callback.md, "Display image after
each generation step", after
https://huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space."""


def shape(size: tuple[int, int]) -> tuple[int, ...]:
    """(1, 4, height/8, width/8). size: width and height in pixels."""
    width, height = size
    return (1, CHANNELS, height // VAE_SCALE, width // VAE_SCALE)


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the VAE's scale to the UNet's."""
    result: torch.Tensor
    if moments := _moments(vae, latents):
        mean, deviation = moments
        result = (latents - mean) * vae.config.scaling_factor / deviation
    else:
        result = vae.config.scaling_factor * latents
    return result


def unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The reverse of `scaled`."""
    result: torch.Tensor
    if moments := _moments(vae, latents):
        mean, deviation = moments
        result = latents * deviation / vae.config.scaling_factor + mean
    else:
        result = latents / vae.config.scaling_factor
    return result


def previewed(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the UNet's scale to that of PREVIEW, which is SDXL's own."""
    if vae.config.latents_mean is None:
        return latents
    return SCALE * unscaled(vae, latents)


def _moments(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and standard deviation of each channel, for VAEs whose configuration has them."""
    if vae.config.latents_mean is None or vae.config.latents_std is None:
        return None
    mean, deviation = (
        torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation
