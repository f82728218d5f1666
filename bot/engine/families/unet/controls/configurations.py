"""What the configuration of a ControlNet may say, or what follows for one that has none."""

from collections.abc import Mapping
from typing import Any, Final

import torch

from bot.engine.configurations import ABSENT, TRUTH, Field, Kind, either, known, one_of, whole
from bot.engine.families.unet.configurations import CHANNELS, OF_UNETS, check_layers
from bot.engine.subject import Subject

_OF_ITS_UNET: Final = (
    *("flip_sin_to_cos", "freq_shift", "down_block_types", "mid_block_type"),
    *("only_cross_attention", "block_out_channels", "layers_per_block", "downsample_padding"),
    *("mid_block_scale_factor", "act_fn", "norm_num_groups", "norm_eps", "cross_attention_dim"),
    *("transformer_layers_per_block", "attention_head_dim", "num_attention_heads"),
    *("use_linear_projection", "upcast_attention", "resnet_time_scale_shift"),
)
"""What a ControlNet, a copy of the first half of a UNet, has in common with it."""
_TOLD: Final = (
    *("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim"),
)
_WIDTH: Final = either(whole(1, 16_384), ABSENT)
_CONTROLNET: Final[Mapping[str, Field]] = {
    **{name: OF_UNETS[name] for name in _OF_ITS_UNET},
    "layers_per_block": whole(1, 8),
    "cross_attention_dim": whole(1, 16_384),
    "in_channels": one_of(4),
    "conditioning_channels": one_of(3),
    "conditioning_embedding_out_channels": CHANNELS,
    "controlnet_conditioning_channel_order": one_of("rgb", "bgr"),
    "global_pool_conditions": TRUTH,
    "addition_embed_type": one_of("text_time", None),
    **dict.fromkeys(_TOLD[1:], _WIDTH),
    # Inputs that its UNet has not got.
    **dict.fromkeys(
        ("encoder_hid_dim", "encoder_hid_dim_type", "class_embed_type", "num_class_embeds"),
        ABSENT,
    ),
}
HINT: Final = "controlnet_cond_embedding"
"""The layers of a ControlNet that read the map."""
CONTROLNET: Final = Kind(("ControlNetModel",), _CONTROLNET)
UNION: Final = Kind(
    ("ControlNetUnionModel", "ControlNetModel_Union", "ControlNetModel"),
    {
        **{name: field for name, field in _CONTROLNET.items() if name != "mid_block_type"},
        "controlnet_conditioning_channel_order": one_of("rgb"),
        **dict.fromkeys(("num_control_type", "num_trans_layer"), whole(1, 64)),
        **dict.fromkeys(("num_trans_channel", "num_trans_head", "num_proj_channel"), _WIDTH),
    },
)


def checked(config: object, kind: Kind, subject: Subject) -> dict[str, Any]:
    """The fields of a ControlNet's `config.json` that it is built from. Raises JobFailed."""
    allowed = known("controlnet", config, kind, subject)
    check_layers(allowed, subject)
    return allowed


def like(unet: Any, kind: Kind) -> dict[str, Any]:
    """The configuration of a ControlNet that was made from `unet`, as diffusers'
    ControlNetModel.from_unet makes it."""
    return {
        name: unet.config[name]
        for name in (*_OF_ITS_UNET, *_TOLD, "in_channels")
        if name in kind.fields and name in unet.config
    }


def told_by(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """What the tensors of a ControlNet say of its configuration, by their names in diffusers."""
    widths = [tensors[f"{HINT}.conv_in.weight"].shape[0]]
    # Between two widths there is a convolution that keeps the first one.
    number = 1
    while (name := f"{HINT}.blocks.{number}.weight") in tensors:
        widths.append(tensors[name].shape[0])
        number += 2
    told: dict[str, Any] = {"conditioning_embedding_out_channels": widths}
    if (tasks := tensors.get("task_embedding")) is not None:
        layers = {name.split(".")[1] for name in tensors if name.startswith("transformer_layes.")}
        told |= {
            "num_control_type": tasks.shape[0],
            "num_trans_channel": tasks.shape[1],
            "num_trans_layer": len(layers),
            "num_proj_channel": tensors["spatial_ch_projs.weight"].shape[0],
        }
    return told
