"""Which diffusion transformer an adapter was made for, judging by its tensors.

Names alone tell few of them apart: what does is how wide a block's layers are, how many blocks
there are, and layers that only one of them has. What tells a family is in its folder
(Comfy-Org/ComfyUI comfy/ldm/{flux,chroma,lumina,cosmos,krea2}; meta-device models of diffusers
0.42).
"""

import re
from typing import Final

from catalog.families import FAMILIES, cosmos, flux, lumina
from catalog.families.flux import CHROMA
from catalog.families.recognition import Transformer, Widths

AURAFLOW: Final = "AuraFlow"
DIT: Final = "DiT"

# Below, names are matched with `_` for every dot, each preceded by a line break.
_MARKS: Final = (
    ("_img_mlp_fc1", "Hunyuan"),
    ("_img_mlp_net_", "Qwen-Image"),
    ("nerf_blocks_", "Chroma1-Radiance"),
    ("distilled_guidance_layer_", CHROMA),
    ("joint_transformer_blocks_", AURAFLOW),
)
"""Layers that only one of them has."""
_SINGLE_OF_AURAFLOW: Final = re.compile(
    r"single_transformer_blocks_\d+_(?:attn_to_out_0_|ff_linear_[12]_|ff_out_projection_)"
)
_DOUBLE_OF_DIFFUSERS: Final = re.compile(
    r"transformer_blocks_(?<!single_transformer_blocks_)\d+_attn_(?:to|add)_"
)
_WAN: Final = re.compile(
    r"blocks_(?<=[\n_]blocks_)\d+_(?:(?:self|cross)_attn_[qkvo]_(?!proj)|ffn_[02]_)"
)
_UNET: Final = ("down_blocks_", "up_blocks_", "mid_block_", "input_blocks_", "middle_block_")
_T5: Final = re.compile(r"\n(?:lora_te[23]?_|text_encoder_[23]_)\w*?encoder_block_\d+_layer_")

_FAMILIES: Final = tuple(
    recognition
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, Transformer)
)
TELLING: Final = tuple(
    dict.fromkeys(
        (
            *(end for family in _FAMILIES for end in family.telling),
            *(*flux.TELLING, *lumina.TELLING, *cosmos.TELLING),
        )
    )
)
"""Ends of the modules whose widths are looked at."""


def base_of(names: str, widths: Widths) -> str:
    """The base model; DIT for one that is not known, "" if it is for none.

    names: of all tensors, as above. widths: of the modules that end in TELLING.
    """
    for mark, base in _MARKS:
        if mark in names:
            return base
    if _SINGLE_OF_AURAFLOW.search(names):
        return AURAFLOW
    for family in _FAMILIES:
        if base := family.adapter_base(names, widths):
            return base
    if base := flux.adapter_base(names, widths):
        return base
    if any(block in names for block in _UNET):
        return ""
    if _DOUBLE_OF_DIFFUSERS.search(names):
        return DIT
    if (width := lumina.width(names, widths)) is not None:
        return "Lumina" if width else DIT
    if cosmos.width(names, widths) is not None:
        return "Cosmos"
    if _WAN.search(names):
        return "Wan"
    return DIT if _T5.search(names) else ""
