"""Latents of 4 channels at an eighth of the image's sides: their shape and scale. Imports torch."""

from typing import Any, Final

import torch

CHANNELS: Final = 4
VAE_SCALE: Final = 8


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


def previewed(vae: Any, latents: torch.Tensor, scale: float) -> torch.Tensor:
    """Latents from the UNet's scale to the family's own, which its preview colours are for.

    scale: `scaling_factor` of the family's own VAE.
    """
    if vae.config.latents_mean is None:
        return latents
    return scale * unscaled(vae, latents)


def _moments(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Mean and standard deviation of each channel, for VAEs whose configuration has them."""
    if vae.config.latents_mean is None or vae.config.latents_std is None:
        return None
    mean, deviation = (
        torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation
