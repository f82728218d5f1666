"""Calling an autoencoder of diffusers' KL kind, in one piece or in tiles. Imports torch."""

from typing import Any

import torch

from bot.engine.memory import TILE


def decode(vae: Any, latents: torch.Tensor, scale: int, *, tiled: bool) -> torch.Tensor:
    """Pixels from -1 to 1, shape (1, 3, height, width).

    latents: at the VAE's own scale. scale: pixels per latent along each side. tiled: in tiles of
        TILE pixels per side, which takes less memory and gives other bits.
    """
    _tile(vae, scale, tiled=tiled)
    pixels: torch.Tensor = vae.decode(latents, return_dict=False)[0]
    return pixels


def distribution(vae: Any, pixels: torch.Tensor, scale: int, *, tiled: bool) -> Any:
    """The distribution of the latents of `pixels`, which are as those of `decode`."""
    _tile(vae, scale, tiled=tiled)
    return vae.encode(pixels).latent_dist


def _tile(vae: Any, scale: int, *, tiled: bool) -> None:
    vae.use_tiling = tiled
    vae.tile_sample_min_size = TILE
    vae.tile_latent_min_size = TILE // scale
