"""Qwen-Image's VAE, which is one for videos, for a single image. Imports torch.

Several families have it: what its configuration may say, its names in files, the shape, scale and
preview colours of its latents, and calling it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers

from bot.engine.configurations import ABSENT, Kind, each, either, exactly, number, one_of, whole
from bot.engine.families.base import FamilyBase
from bot.engine.families.family import PreviewFactors
from bot.engine.memory import TILE

CHANNELS: Final = 16
SCALE: Final = 8
"""Pixels per latent along each side."""

_HALVINGS: Final = SCALE.bit_length() - 1
CONFIGURATION: Final = Kind(
    ("AutoencoderKLQwenImage",),
    {
        "base_dim": whole(1, 4_096),
        "z_dim": one_of(CHANNELS),
        "dim_mult": exactly(whole(1, 64), _HALVINGS + 1),
        "num_res_blocks": whole(1, 8),
        "attn_scales": each(number(0, 1), 8),
        "temperal_downsample": exactly(one_of(True, False), _HALVINGS),
        "dropout": number(0, 1),
        "input_channels": either(one_of(3), ABSENT),
        "latents_mean": exactly(number(-1e6, 1e6), CHANNELS),
        "latents_std": exactly(number(1e-6, 1e6), CHANNELS),
    },
)
"""What its configuration may say."""

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


def build(config: Mapping[str, Any]) -> Any:
    """The VAE; within `building.without_weights`. config: fields that CONFIGURATION allows."""
    return AutoencoderKLQwenImage.from_config(dict(config))


def renamed(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stored`, in the names of Wan's authors or of diffusers, by the names of diffusers."""
    wan = any(name.startswith("decoder.middle.") for name in stored)
    return dict(convert_wan_vae_to_diffusers(dict(stored)) if wan else stored)


def shape(size: tuple[int, int]) -> tuple[int, ...]:
    """(1, 16, height/8, width/8). size: width and height in pixels."""
    width, height = size
    return (1, CHANNELS, height // SCALE, width // SCALE)


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the VAE's scale to that of the transformers."""
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


@dataclass(frozen=True, slots=True)
class Likeliest:
    """The latents of an image: as in diffusers, the likeliest, instead of some that are drawn.

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


class QwenVaeFamily(FamilyBase):
    """What families with this VAE have in common; see `families.family`."""

    vae_scale = SCALE
    preview = PREVIEW

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        return decode(vae, unscaled(vae, latents), tiled=tiled)

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Likeliest:
        return likeliest(vae, pixels, tiled=tiled)
