"""An autoencoder of diffusers' KL kind: its names in files, and calling it. Imports torch."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

from bot.engine.memory import TILE

_OF_LDM: Final = "decoder.mid.block_1."
"""In Stability's and Black Forest Labs' own files."""
_OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def renamed(vae: Any, stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stored`, in the names of its authors or of any diffusers, by the parameter names of `vae`.

    Of files in the authors' names, what diffusers does not know is left out.
    """
    own = dict(stored)
    if any(name.startswith(_OF_LDM) for name in own):
        own = convert_ldm_vae_checkpoint(own, vae.config)
    return {_modern(name): tensor for name, tensor in own.items()}


def _modern(name: str) -> str:
    """The name of a parameter as diffusers ≥ 0.12 writes it."""
    path, _, kind = name.rpartition(".")
    module, _, leaf = path.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[leaf]}.{kind}" if leaf in _OLD_ATTENTION else name


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
