"""Anima's latents: their shape, their scale and their preview colours. Imports torch."""

from typing import Any, Final

import torch

from bot.engine.families.family import PreviewFactors

CHANNELS: Final = 16
VAE_SCALE: Final = 8

_COLOURS: Final = (
    *((-0.1299, -0.1692, 0.2932), (0.0671, 0.0406, 0.0442), (0.3568, 0.2548, 0.1747)),
    *((0.0372, 0.2344, 0.1420), (0.0313, 0.0189, -0.0328), (0.0296, -0.0956, -0.0665)),
    *((-0.3477, -0.4059, -0.2925), (0.0166, 0.1902, 0.1975), (-0.0412, 0.0267, -0.1364)),
    *((-0.1293, 0.0740, 0.1636), (0.0680, 0.3019, 0.1128), (0.0032, 0.0581, 0.0639)),
    *((-0.1251, 0.0927, 0.1699), (0.0060, -0.0633, 0.0005), (0.3477, 0.2275, 0.2950)),
    *((0.1984, 0.0913, 0.1861),),
)
_BIASES: Final = (-0.1835, -0.0868, -0.3360)
_HALF: Final = 127.5

PREVIEW: Final = PreviewFactors(
    weights=tuple(
        tuple(_HALF * colours[colour] for colours in _COLOURS) for colour in range(len(_BIASES))
    ),
    biases=(_HALF * (1 + _BIASES[0]), _HALF * (1 + _BIASES[1]), _HALF * (1 + _BIASES[2])),
)
"""From Comfy-Org/ComfyUI comfy/latent_formats.py, `Wan21`, of whose VAE this one is: for -1 … 1."""


def shape(size: tuple[int, int]) -> tuple[int, ...]:
    """(1, 16, height/8, width/8). size: width and height in pixels."""
    width, height = size
    return (1, CHANNELS, height // VAE_SCALE, width // VAE_SCALE)


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the VAE's scale to the transformer's."""
    mean, deviation = _moments(vae, latents)
    return (latents - mean) / deviation


def unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The reverse of `scaled`."""
    mean, deviation = _moments(vae, latents)
    return latents / (1.0 / deviation) + mean  # in diffusers' order of operations


def _moments(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel, shape (1, 16, 1, 1)."""
    config = vae.config
    mean, deviation = (
        torch.tensor(values).view(1, CHANNELS, 1, 1).to(like.device, like.dtype)
        for values in (config.latents_mean, config.latents_std)
    )
    return mean, deviation
