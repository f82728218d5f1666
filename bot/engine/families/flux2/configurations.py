"""What the configurations of FLUX.2 klein's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import (
    ABSENT,
    Kind,
    either,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families import qwen3
from bot.engine.families.family import VAE
from bot.engine.families.flux2.latents import CHANNELS
from bot.engine.families.flux2.text import LAYERS
from bot.engine.families.packing import PATCH
from bot.engine.subject import Subject

_AXES: Final = 4
_BLOCKS: Final = 4
"""Of the VAE: each but the last halves the sides, which gives an eighth."""


TRANSFORMER: Final = Kind(
    ("Flux2Transformer2DModel",),
    {
        "patch_size": one_of(1),
        "in_channels": one_of(CHANNELS),
        "out_channels": one_of(CHANNELS, None),
        "num_layers": whole(1, 64),
        "num_single_layers": whole(1, 128),
        "attention_head_dim": whole(1, 1_024),
        "num_attention_heads": whole(1, 256),
        "joint_attention_dim": whole(1, 65_536),
        "timestep_guidance_channels": whole(2, 4_096),
        "mlp_ratio": number(0, 64),
        "axes_dims_rope": exactly(whole(2, 1_024), _AXES),
        "rope_theta": number(1, 1e9),
        "eps": number(0, 1),
        # FLUX.2 dev, which has another text encoder, is guided by an embedding.
        "guidance_embeds": one_of(False),
    },
)
_CHANNELS: Final = exactly(whole(1, 8_192), _BLOCKS)
AUTOENCODER: Final = Kind(
    ("AutoencoderKLFlux2",),
    {
        **dict.fromkeys(("in_channels", "out_channels"), one_of(3)),
        "latent_channels": one_of(CHANNELS // PATCH**2),
        "down_block_types": exactly(one_of("DownEncoderBlock2D"), _BLOCKS),
        "up_block_types": exactly(one_of("UpDecoderBlock2D"), _BLOCKS),
        "block_out_channels": _CHANNELS,
        "decoder_block_out_channels": either(_CHANNELS, ABSENT),
        "layers_per_block": whole(1, 8),
        "act_fn": one_of("silu", "swish", "mish", "gelu", "relu"),
        "norm_num_groups": whole(1, 1_024),
        "sample_size": whole(1, 8_192),
        **dict.fromkeys(
            ("use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"),
            one_of(True, False),
        ),
        "batch_norm_eps": number(0, 1),
        "batch_norm_momentum": number(0, 1),
        "patch_size": one_of([PATCH, PATCH]),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {
    "transformer": TRANSFORMER,
    VAE: AUTOENCODER,
}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    The text encoder is cut after the last layer that is read.
    """
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    allowed = qwen3.checked(network, config, subject, least=max(LAYERS))
    return {**allowed, "num_hidden_layers": max(LAYERS)}
