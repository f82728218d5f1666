"""Calling Qwen-Image's VAE, which is one for videos, for a single image. Imports torch."""

from dataclasses import dataclass
from typing import Any

import torch

from bot.engine.memory import TILE


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The latents of an image, of which Anima's pipeline takes the likeliest instead of drawing.

    latents: shape (1, 16, height/8, width/8), at the VAE's own scale.
    """

    latents: torch.Tensor

    def sample(self, _: torch.Generator) -> torch.Tensor:
        """The latents; nothing is drawn."""
        return self.latents

    def mode(self) -> torch.Tensor:
        return self.latents


def decode(vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
    """Pixels from -1 to 1, shape (1, 3, height, width).

    latents: shape (1, 16, height/8, width/8), at the VAE's own scale. tiled: in tiles of TILE
        pixels per side, which takes less memory and gives other bits.
    """
    _tile(vae, tiled=tiled)
    frames: torch.Tensor = vae.decode(latents.unsqueeze(2), return_dict=False)[0]
    return frames[:, :, 0]


def likeliest(vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Likeliest:
    """The latents of `pixels`, which are as those of `decode`."""
    _tile(vae, tiled=tiled)
    frames: torch.Tensor = vae.encode(pixels.unsqueeze(2)).latent_dist.mode()
    return Likeliest(frames[:, :, 0])


def _tile(vae: Any, *, tiled: bool) -> None:
    vae.use_tiling = tiled
    vae.tile_sample_min_height = vae.tile_sample_min_width = TILE
    # A quarter of each tile is blended with its neighbours, as diffusers does.
    vae.tile_sample_stride_height = vae.tile_sample_stride_width = TILE * 3 // 4
