"""What the configurations of Z-Image's networks may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import (
    ABSENT,
    TRUTH,
    Kind,
    each,
    either,
    exactly,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families import qwen3
from bot.engine.families.family import VAE
from bot.engine.families.zimage.latents import CHANNELS
from bot.engine.subject import Subject

_AXES: Final = 3
_BLOCKS: Final = 8


_TRANSFORMER: Final = Kind(
    ("ZImageTransformer2DModel",),
    {
        "all_patch_size": one_of([2]),
        "all_f_patch_size": one_of([1]),
        "in_channels": one_of(CHANNELS),
        "dim": whole(1, 16_384),
        "n_layers": whole(1, 128),
        "n_refiner_layers": whole(0, 16),
        "n_heads": whole(1, 256),
        "n_kv_heads": whole(1, 256),
        "norm_eps": number(0, 1),
        "qk_norm": TRUTH,
        "cap_feat_dim": whole(1, 16_384),
        # With it, it edits pictures; no such weights were published.
        "siglip_feat_dim": ABSENT,
        "rope_theta": number(1, 1e9),
        "t_scale": number(1, 1e6),
        "axes_dims": exactly(whole(2, 1_024), _AXES),
        "axes_lens": exactly(whole(1, 4_096), _AXES),
    },
)
_AUTOENCODER: Final = Kind(
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
_OF_NETWORK: Final[Mapping[str, Kind]] = {"transformer": _TRANSFORMER, VAE: _AUTOENCODER}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    The text encoder is built without its last layer, which nothing reads.
    """
    if network in _OF_NETWORK:
        return known(network, config, _OF_NETWORK[network], subject)
    allowed = qwen3.checked(network, config, subject, least=2)
    return {**allowed, "num_hidden_layers": allowed["num_hidden_layers"] - 1}
