"""FLUX.2's latents: their shape, their scale and their preview colours. Imports torch.

The VAE has 32 channels at an eighth of the size. The transformer sees 2×2 of its pixels as one of
128 channels, each normalised by the mean and variance that the VAE's batch norm has collected
(black-forest-labs/flux2 src/flux2/autoencoder.py). Latents outside the VAE are in that form.
"""

from typing import Any, Final

import torch

from bot.engine.families.family import PreviewFactors
from bot.engine.families.packing import patchified, unpatchified

CHANNELS: Final = 128
VAE_SCALE: Final = 16
"""Pixels per latent along each side; for the VAE itself, half as many."""

_COLOURS: Final = (
    *((0.0058, 0.0113, 0.0073), (0.0495, 0.0443, 0.0836), (-0.0099, 0.0096, 0.0644)),
    *((0.2144, 0.3009, 0.3652), (0.0166, -0.0039, -0.0054), (0.0157, 0.0103, -0.0160)),
    *((-0.0398, 0.0902, -0.0235), (-0.0052, 0.0095, 0.0109), (-0.3527, -0.2712, -0.1666)),
    *((-0.0301, -0.0356, -0.0180), (-0.0107, 0.0078, 0.0013), (0.0746, 0.0090, -0.0941)),
    *((0.0156, 0.0169, 0.0070), (-0.0034, -0.0040, -0.0114), (0.0032, 0.0181, 0.0080)),
    *((-0.0939, -0.0008, 0.0186), (0.0018, 0.0043, 0.0104), (0.0284, 0.0056, -0.0127)),
    *((-0.0024, -0.0022, -0.0030), (0.1207, -0.0026, 0.0065), (0.0128, 0.0101, 0.0142)),
    *((0.0137, -0.0072, -0.0007), (0.0095, 0.0092, -0.0059), (0.0000, -0.0077, -0.0049)),
    *((-0.0465, -0.0204, -0.0312), (0.0095, 0.0012, -0.0066), (0.0290, -0.0034, 0.0025)),
    *((0.0220, 0.0169, -0.0048), (-0.0332, -0.0457, -0.0468), (-0.0085, 0.0389, 0.0609)),
    *((-0.0076, 0.0003, -0.0043), (-0.0111, -0.0460, -0.0614)),
)
_BIASES: Final = (-0.0329, -0.0718, -0.0851)
_HALF: Final = 127.5

PREVIEW: Final = PreviewFactors(
    weights=tuple(
        tuple(_HALF * colours[colour] for colours in _COLOURS) for colour in range(len(_BIASES))
    ),
    biases=(_HALF * (1 + _BIASES[0]), _HALF * (1 + _BIASES[1]), _HALF * (1 + _BIASES[2])),
)
"""From Comfy-Org/ComfyUI comfy/latent_formats.py, `Flux2`: for -1 … 1, of normalised latents in the
VAE's 32 channels."""


def shape(size: tuple[int, int]) -> tuple[int, ...]:
    """(1, 128, height/16, width/16). size: width and height in pixels."""
    width, height = size
    return (1, CHANNELS, height // VAE_SCALE, width // VAE_SCALE)


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the VAE's form, (n, 32, h, w), to the transformer's, (n, 128, h/2, w/2)."""
    patches = patchified(latents)
    mean, deviation = _statistics(vae, patches)
    return (patches - mean) / deviation


def unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The reverse of `scaled`."""
    mean, deviation = _statistics(vae, latents)
    return unpatchified(latents * deviation + mean)


def previewed(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the transformer's form to that of PREVIEW, (n, 32, h, w)."""
    return unpatchified(latents)


def _statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel, on the device and in the dtype of `like`."""
    mean, variance = (each.view(1, -1, 1, 1) for each in (vae.bn.running_mean, vae.bn.running_var))
    return mean.to(like), torch.sqrt(variance + vae.config.batch_norm_eps).to(like)
