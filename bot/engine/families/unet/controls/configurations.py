"""What the configuration of a ControlNet may say, or what follows for one that has none."""

import re
from collections.abc import Mapping
from typing import Any, Final

import torch

from bot.engine.configurations import ABSENT, Field, Kind, either, known, one_of, whole
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
    # Whose residuals are for the prompt alone, not for the negative one.
    "global_pool_conditions": one_of(False, None),
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


def told_by(tensors: Mapping[str, torch.Tensor], unet: Any, subject: Subject) -> dict[str, Any]:
    """What the tensors of a ControlNet say of its configuration where `unet` may say otherwise:
    smaller ones have fewer layers than the UNet that they are for.

    tensors: those that read the map by their names in diffusers, others by theirs or the original
        ones. Raises JobFailed.
    """
    widths = [_first_axis(tensors, f"{HINT}.conv_in.weight", subject)]
    # Between two widths there is a convolution that keeps the first one.
    number = 1
    while (name := f"{HINT}.blocks.{number}.weight") in tensors:
        widths.append(_first_axis(tensors, name, subject))
        number += 2
    told = {"conditioning_embedding_out_channels": widths, **_told_of_layers(tensors, unet)}
    if (tasks := tensors.get("task_embedding")) is not None:
        layers = {name.split(".")[1] for name in tensors if name.startswith("transformer_layes.")}
        told |= {
            "num_control_type": tasks.shape[0],
            "num_trans_channel": tasks.shape[1],
            "num_trans_layer": len(layers),
            "num_proj_channel": _first_axis(tensors, "spatial_ch_projs.weight", subject),
        }
    return told


def _first_axis(tensors: Mapping[str, torch.Tensor], name: str, subject: Subject) -> int:
    if name not in tensors or not tensors[name].ndim:
        raise subject.failed("control.incomplete", part=f"controlnet ({name})")
    return tensors[name].shape[0]


def _told_of_layers(tensors: Mapping[str, torch.Tensor], unet: Any) -> dict[str, Any]:
    """Which blocks have attentions, how many layers those have, and what prompts they read."""
    levels, each = len(unet.config.block_out_channels), unet.config.layers_per_block + 1
    places = [
        (f"down_blocks.{level}.attentions.0.", f"input_blocks.{1 + level * each}.1.")
        for level in range(levels)
    ]
    depths = [_depth(tensors, *place) for place in places]
    middle = _depth(tensors, "mid_block.attentions.0.", "middle_block.1.transformer_blocks.")
    told: dict[str, Any] = {
        "down_block_types": [
            "DownBlock2D" if depth is None else "CrossAttnDownBlock2D" for depth in depths
        ],
        "mid_block_type": "UNetMidBlock2D" if middle is None else "UNetMidBlock2DCrossAttn",
        # What a block without attentions is said to have does not matter.
        "transformer_layers_per_block": [1 if depth is None else depth for depth in depths],
    }
    read = [tensor for name, tensor in tensors.items() if name.endswith("attn2.to_k.weight")]
    if read and read[0].ndim == 2:
        told["cross_attention_dim"] = read[0].shape[1]
    return told


def _depth(tensors: Mapping[str, torch.Tensor], *prefixes: str) -> int | None:
    """How many layers the attentions at one of these places have; None without attentions."""
    own = [name for name in tensors if name.startswith(prefixes)]
    found = (_LAYER.search(name) for name in own)
    return max((int(match[1]) + 1 for match in found if match), default=0) if own else None


_LAYER: Final = re.compile(r"transformer_blocks\.(\d{1,4})\.")
