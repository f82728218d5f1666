"""What the configurations of UNets and their VAEs may say."""

from collections.abc import Mapping
from typing import Any, Final

from bot.engine.configurations import (
    ABSENT,
    CLIP_TEXT,
    TRUTH,
    Field,
    Kind,
    each,
    either,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families.family import VAE
from bot.engine.families.unet.networks import DENOISER
from bot.engine.subject import Subject

_BLOCKS: Final = 8
CHANNELS: Final = each(whole(1, 8_192), _BLOCKS)
_LAYERS: Final = either(whole(0, 64), each(whole(0, 64), _BLOCKS))
_DEPTHS: Final = either(_LAYERS, each(_LAYERS, _BLOCKS), ABSENT)
_SIDE: Final = either(whole(1, 8_192), each(whole(1, 8_192), 2), ABSENT)
_ACTIVATION: Final = one_of("silu", "swish", "mish", "gelu", "relu")
_TRUTHS: Final = either(TRUTH, each(TRUTH, _BLOCKS))

OF_UNETS: Final[Mapping[str, Field]] = {
    "sample_size": _SIDE,
    **dict.fromkeys(("in_channels", "out_channels"), one_of(4)),
    **dict.fromkeys(
        (
            *("center_input_sample", "flip_sin_to_cos", "use_linear_projection"),
            *("upcast_attention", "resnet_skip_time_act", "mid_block_only_cross_attention"),
        ),
        TRUTH,
    ),
    "only_cross_attention": _TRUTHS,
    "freq_shift": whole(0, 1),
    "down_block_types": each(
        one_of("DownBlock2D", "CrossAttnDownBlock2D", "ResnetDownsampleBlock2D"), _BLOCKS
    ),
    "mid_block_type": one_of("UNetMidBlock2DCrossAttn", "UNetMidBlock2D", None),
    "up_block_types": each(
        one_of("UpBlock2D", "CrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), _BLOCKS
    ),
    "block_out_channels": CHANNELS,
    "layers_per_block": either(whole(1, 8), each(whole(1, 8), _BLOCKS)),
    "transformer_layers_per_block": _DEPTHS,
    "reverse_transformer_layers_per_block": _DEPTHS,
    "downsample_padding": whole(0, 8),
    "mid_block_scale_factor": number(0, 100),
    "resnet_out_scale_factor": number(0, 100),
    "dropout": number(0, 1),
    "act_fn": _ACTIVATION,
    "norm_num_groups": either(whole(1, 1_024), ABSENT),
    "norm_eps": number(0, 1),
    "cross_attention_dim": either(whole(1, 16_384), each(whole(1, 16_384), _BLOCKS)),
    "attention_head_dim": either(whole(1, 1_024), each(whole(1, 1_024), _BLOCKS)),
    "num_attention_heads": either(whole(1, 1_024), each(whole(1, 1_024), _BLOCKS), ABSENT),
    "resnet_time_scale_shift": one_of("default", "scale_shift"),
    "time_embedding_type": one_of("positional"),
    "time_embedding_dim": either(whole(1, 16_384), ABSENT),
    **dict.fromkeys(("time_embedding_act_fn", "timestep_post_act"), either(_ACTIVATION, ABSENT)),
    **dict.fromkeys(("conv_in_kernel", "conv_out_kernel"), whole(1, 15)),
    "attention_type": one_of("default"),
    **dict.fromkeys(("class_embeddings_concat", "dual_cross_attention"), one_of(False, None)),
    # Inputs that neither has.
    **dict.fromkeys(
        (
            *("encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type"),
            *("num_class_embeds", "time_cond_proj_dim", "cross_attention_norm"),
        ),
        ABSENT,
    ),
}
_MOMENTS: Final = either(each(number(-1_000, 1_000), 64), ABSENT)
AUTOENCODER: Final = Kind(
    ("AutoencoderKL",),
    {
        **dict.fromkeys(("in_channels", "out_channels"), one_of(3)),
        "latent_channels": one_of(4),
        "down_block_types": each(one_of("DownEncoderBlock2D"), _BLOCKS),
        "up_block_types": each(one_of("UpDecoderBlock2D"), _BLOCKS),
        "block_out_channels": CHANNELS,
        "layers_per_block": whole(1, 8),
        "act_fn": _ACTIVATION,
        "norm_num_groups": whole(1, 1_024),
        "sample_size": _SIDE,
        "scaling_factor": number(1e-6, 1e6),
        "shift_factor": one_of(None, 0, 0.0),
        "latents_mean": _MOMENTS,
        "latents_std": _MOMENTS,
        **dict.fromkeys(
            (
                *("force_upcast", "use_quant_conv", "use_post_quant_conv"),
                "mid_block_add_attention",
            ),
            one_of(True, False),
        ),
    },
)

_LAYERS_MAX: Final = 1_000


def unet_kind(inputs: Mapping[str, Field]) -> Kind:
    """What the configuration of a family's UNet may say.

    inputs: the fields about what it is told besides latents, timestep and prompt.
    """
    return Kind(("UNet2DConditionModel",), {**OF_UNETS, **inputs})


def checked(
    network: str, config: Mapping[str, Any], unet: Kind, subject: Subject
) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    unet: from `unet_kind`.
    """
    kind = {DENOISER: unet, VAE: AUTOENCODER}.get(network, CLIP_TEXT)
    allowed = known(network, config, kind, subject)
    if network == DENOISER:
        check_layers(allowed, subject)
    return allowed


def check_layers(config: Mapping[str, Any], subject: Subject) -> None:
    """Raise JobFailed for a UNet, or a part of one, with far more layers than any has."""
    if _layers(config) > _LAYERS_MAX:
        raise subject.failed(
            "model.unreadable", "control.unreadable", reason=f"more than {_LAYERS_MAX} layers"
        )


def _layers(config: Mapping[str, Any]) -> int:
    """An upper bound of the transformer layers of a UNet; SDXL itself has 70."""
    blocks = len(config.get("block_out_channels", ()))
    depths = (
        _sum(config.get(field), blocks)
        for field in ("transformer_layers_per_block", "reverse_transformer_layers_per_block")
    )
    each_block = config.get("layers_per_block", 1)
    wide: int = max(each_block, default=1) if isinstance(each_block, list) else each_block
    return sum(depths) * wide


def _sum(depth: object, blocks: int) -> int:
    if isinstance(depth, list):
        return sum(_sum(one, 1) for one in depth)
    return depth * blocks if isinstance(depth, int) else 0
