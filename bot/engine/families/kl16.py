"""The VAE of 16 channels that FLUX.1 and Z-Image have, and its latents. Imports torch."""

from typing import Any, Final

import torch

from bot.engine.configurations import ABSENT, Kind, each, either, number, one_of, whole
from bot.engine.families import autoencoder
from bot.engine.families.base import FamilyBase
from bot.engine.families.family import PreviewFactors

CHANNELS: Final = 16
VAE_SCALE: Final = 8
TOKEN_SIDE: Final = 16
"""Pixels along each side of what is one token for a transformer: 2×2 latents."""

_COLOURS: Final = (
    *((-0.0346, 0.0244, 0.0681), (0.0034, 0.0210, 0.0687), (0.0275, -0.0668, -0.0433)),
    *((-0.0174, 0.0160, 0.0617), (0.0859, 0.0721, 0.0329), (0.0004, 0.0383, 0.0115)),
    *((0.0405, 0.0861, 0.0915), (-0.0236, -0.0185, -0.0259), (-0.0245, 0.0250, 0.1180)),
    *((0.1008, 0.0755, -0.0421), (-0.0515, 0.0201, 0.0011), (0.0428, -0.0012, -0.0036)),
    *((0.0817, 0.0765, 0.0749), (-0.1264, -0.0522, -0.1103), (-0.0280, -0.0881, -0.0499)),
    *((-0.1262, -0.0982, -0.0778),),
)
_BIASES: Final = (-0.0329, -0.0718, -0.0851)
_HALF: Final = 127.5

PREVIEW: Final = PreviewFactors(
    weights=tuple(
        tuple(_HALF * colours[colour] for colours in _COLOURS) for colour in range(len(_BIASES))
    ),
    biases=(_HALF * (1 + _BIASES[0]), _HALF * (1 + _BIASES[1]), _HALF * (1 + _BIASES[2])),
)
"""From Comfy-Org/ComfyUI comfy/latent_formats.py, `Flux`: for -1 … 1."""

_BLOCKS: Final = 8
AUTOENCODER: Final = Kind(
    ("AutoencoderKL",),
    {
        **dict.fromkeys(("in_channels", "out_channels"), one_of(3)),
        "latent_channels": one_of(CHANNELS),
        "down_block_types": each(one_of("DownEncoderBlock2D"), _BLOCKS),
        "up_block_types": each(one_of("UpDecoderBlock2D"), _BLOCKS),
        "block_out_channels": each(whole(1, 8_192), _BLOCKS),
        "layers_per_block": whole(1, 8),
        "act_fn": one_of("silu", "swish", "mish", "gelu", "relu"),
        "norm_num_groups": whole(1, 1_024),
        "sample_size": either(whole(1, 8_192), ABSENT),
        "scaling_factor": number(1e-6, 1e6),
        "shift_factor": number(-1e6, 1e6),
        **dict.fromkeys(("latents_mean", "latents_std"), ABSENT),
        **dict.fromkeys(
            ("force_upcast", "use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"),
            one_of(True, False),
        ),
    },
)
"""What its configuration may say."""


def shape(size: tuple[int, int]) -> tuple[int, ...]:
    """(1, 16, height/8, width/8). size: width and height in pixels."""
    width, height = size
    return (1, CHANNELS, height // VAE_SCALE, width // VAE_SCALE)


def scaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Latents from the VAE's scale to a transformer's."""
    result: torch.Tensor = (latents - vae.config.shift_factor) * vae.config.scaling_factor
    return result


def unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """The reverse of `scaled`."""
    result: torch.Tensor = (latents / vae.config.scaling_factor) + vae.config.shift_factor
    return result


class Kl16Family(FamilyBase):
    """What families with this VAE have in common; see `families.family`."""

    vae_scale = VAE_SCALE
    preview = PREVIEW

    def latent_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        return shape(size)

    def scaled(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return scaled(vae, latents)

    def decode(self, vae: Any, latents: torch.Tensor, *, tiled: bool) -> torch.Tensor:
        return autoencoder.decode(vae, unscaled(vae, latents), VAE_SCALE, tiled=tiled)

    def distribution(self, vae: Any, pixels: torch.Tensor, *, tiled: bool) -> Any:
        return autoencoder.distribution(vae, pixels, VAE_SCALE, tiled=tiled)
