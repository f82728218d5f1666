"""Which diffusion transformer an adapter was made for, judging by its tensors.

Names alone tell few of them apart: the blocks of FLUX.1, FLUX.2, Chroma and HunyuanVideo have the
same, and FLUX.2 klein 4B is as wide as FLUX.1. What tells is how wide a block's layers are compared
with each other, how many blocks there are, and layers that only one of them has. Chroma has 421 of
its 433 matrices in common with FLUX.1, so that an adapter of these is one for FLUX.1 unless its
metadata says otherwise (black-forest-labs/flux2 src/flux2/model.py; Comfy-Org/ComfyUI
comfy/ldm/{flux,chroma,lumina,cosmos,krea2}; meta-device models of diffusers 0.42).
"""

import re
from collections.abc import Mapping
from typing import Final

FLUX: Final = "Flux"
FLUX_OR_KLEIN: Final = "Flux/FLUX.2 klein"
"""Of layers that both have, in blocks that both have."""
KLEIN: Final = "FLUX.2 klein"
KLEIN_4B: Final = "FLUX.2 klein 4B"
KLEIN_9B: Final = "FLUX.2 klein 9B"
FLUX2_DEV: Final = "FLUX.2 dev"
Z_IMAGE: Final = "Z-Image"
ANIMA: Final = "Anima"
CHROMA: Final = "Chroma"
DIT: Final = "DiT"

Widths = Mapping[str, tuple[int, int]]
"""Module, with `_` for every dot → the widths of its input and output; 0 where they are unknown."""

_FLUX2_OF_WIDTH: Final = {3072: KLEIN_4B, 4096: KLEIN_9B, 6144: FLUX2_DEV}
_KLEIN_4B_DOUBLE, _KLEIN_4B_SINGLE = range(5), range(20)
"""The numbers of its blocks; FLUX.1 has 19 and 38."""
_FLUX2_OF_BLOCKS: Final = {(5, 3072): KLEIN_4B, (8, 4096): KLEIN_9B, (8, 6144): FLUX2_DEV}
"""Blocks of two streams and their width. FLUX.1 has 19 and Qwen-Image 60, with the same names."""

# Below, names are matched with `_` for every dot, each preceded by a line break.
_OF_FLUX2: Final = (
    *("double_stream_modulation_", "single_stream_modulation_", "time_guidance_embed_"),
    *("_attn_to_qkv_mlp_proj", "_ff_linear_", "_ff_context_linear_"),
)
_OUT_OF_FLUX2: Final = re.compile(r"single_transformer_blocks_\d+_attn_to_out_")
_OF_CHROMA: Final = ("distilled_guidance_layer_",)
_OF_FLUX1: Final = (
    *("_img_mod_lin", "_txt_mod_lin", "_modulation_lin", "vector_in_"),
    *("\nlora_te1_text_model_", "\ntext_encoder_text_model_"),
    *("\nclip_l_", "\ntext_encoders_clip_l_"),
)
"""Layers that modulate each block, and CLIP, which neither FLUX.2 nor Chroma has."""
_MARKS: Final = (
    ("txtfusion_", "Krea 2"),
    ("_attn_wq_", "Krea 2"),
    ("_img_mlp_fc1", "Hunyuan"),
    ("_img_mlp_net_", "Qwen-Image"),
    ("llm_adapter_", ANIMA),
)
_BLOCKS: Final = re.compile(r"(double|single)_blocks_(\d+)_")
_SINGLE_OF_DIFFUSERS: Final = re.compile(r"single_transformer_blocks_\d+_(?:attn_to_[qkv]_|proj_)")
_DOUBLE_OF_DIFFUSERS: Final = re.compile(r"(?<!single_)transformer_blocks_(\d+)_attn_(?:to|add)_")
_LUMINA: Final = re.compile(r"layers_\d+_(?:attention_(?:qkv|out|to)_|feed_forward_w\d|adaLN_)")
_REFINERS: Final = re.compile(r"(?:noise|context)_refiner_\d+_")
_COSMOS: Final = re.compile(
    r"blocks_\d+_(?:(?:self|cross)_attn_(?:[qkv]|output)_proj|mlp_layer[12]"
    r"|adaln_modulation_)"
)
_WAN: Final = re.compile(r"\n(?:\w+_)?blocks_\d+_(?:(?:self|cross)_attn_[qkvo]_(?!proj)|ffn_[02]_)")
_UNET: Final = ("down_blocks_", "up_blocks_", "mid_block_", "input_blocks_", "middle_block_")
_T5: Final = re.compile(r"\n(?:lora_te[23]?_|text_encoder_[23]_)\w*?encoder_block_\d+_layer_")

_Z_IMAGE_WIDTH: Final = 3840
_ANIMA_WIDTHS: Final = (2048, 1024)
"""Of its blocks, and of the text that they read."""

_RATIOS: Final[tuple[tuple[str, bool, int, int], ...]] = (
    ("linear1", True, 7, 9),
    ("linear2", False, 5, 4),
    ("img_mlp_0", True, 4, 6),
    ("txt_mlp_0", True, 4, 6),
    ("img_mlp_2", False, 4, 3),
    ("txt_mlp_2", False, 4, 3),
)
"""End of a module, whether it widens, and by how much in FLUX.1 and in FLUX.2, whose feed-forward
layers are gated: queries, keys, values and 4 or 2 · 3 widths of them in `linear1`."""
_INWARDS: Final = (
    *("linear1", "img_mlp_0", "txt_mlp_0", "img_attn_qkv", "txt_attn_qkv"),
    *("_attn_to_qkv_mlp_proj", "_ff_linear_in", "_ff_context_linear_in"),
    *("_attn_to_q", "_attn_to_k", "_attn_to_v"),
    *("_attn_add_q_proj", "_attn_add_k_proj", "_attn_add_v_proj"),
)
"""Modules whose input is as wide as the blocks, in FLUX.2 by any names."""
_OUTWARDS: Final = (
    *("linear2", "img_mlp_2", "txt_mlp_2", "img_attn_proj", "txt_attn_proj"),
    *("_ff_linear_out", "_ff_context_linear_out", "_attn_to_out"),
)
_OF_LUMINA: Final = (
    *("attention_qkv", "attention_to_q", "attention_to_k", "attention_to_v"),
    *("feed_forward_w1", "feed_forward_w3"),
)
_OUT_OF_LUMINA: Final = ("attention_out", "attention_to_out_0", "feed_forward_w2")
_OF_COSMOS: Final = (
    *("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "cross_attn_q_proj"),
    "mlp_layer1",
)
_OUT_OF_COSMOS: Final = (
    *("self_attn_output_proj", "cross_attn_output_proj", "cross_attn_k_proj", "cross_attn_v_proj"),
    "mlp_layer2",
)
_TEXT_OF_COSMOS: Final = ("_attn2_to_k", "_attn2_to_v")

TELLING: Final = (
    *(*_INWARDS, *_OUTWARDS),
    *(*_OF_LUMINA, *_OUT_OF_LUMINA),
    *(*_OF_COSMOS, *_OUT_OF_COSMOS, *_TEXT_OF_COSMOS),
)
"""Ends of the modules whose widths are looked at."""


def base_of(names: str, widths: Widths) -> str:
    """The base model; DIT for one that is not known, "" if it is for none.

    names: of all tensors, as above. widths: of the modules that end in TELLING.
    """
    for mark, base in _MARKS:
        if mark in names:
            return base
    if any(mark in names for mark in _OF_FLUX2) or _OUT_OF_FLUX2.search(names):
        return _FLUX2_OF_WIDTH.get(_width(widths), KLEIN)
    if any(mark in names for mark in _OF_CHROMA):
        return CHROMA
    if numbers := [(kind, int(number)) for kind, number in _BLOCKS.findall(names)]:
        return _of_blocks(names, widths, numbers)
    if _SINGLE_OF_DIFFUSERS.search(names):
        return FLUX
    if any(block in names for block in _UNET):
        return ""
    if double := {int(number) for number in _DOUBLE_OF_DIFFUSERS.findall(names)}:
        count = len(double) if double == set(range(len(double))) else 0
        return _FLUX2_OF_BLOCKS.get((count, _width(widths)), DIT)
    if _LUMINA.search(names) or _REFINERS.search(names):
        width = _input(widths, _OF_LUMINA) or _output(widths, _OUT_OF_LUMINA)
        return Z_IMAGE if width == _Z_IMAGE_WIDTH else "Lumina" if width else DIT
    if _COSMOS.search(names):
        width = _input(widths, _OF_COSMOS) or _output(widths, _OUT_OF_COSMOS)
        return ANIMA if width in (0, _ANIMA_WIDTHS[0]) else "Cosmos"
    if _WAN.search(names):
        return "Wan"
    if _is_anima(widths):
        return ANIMA
    return DIT if _T5.search(names) else ""


def _of_blocks(names: str, widths: Widths, numbers: list[tuple[str, int]]) -> str:
    """By the blocks of two streams and of one that Black Forest Labs' models have."""
    found = {
        kind
        for module, (inwards, outwards) in widths.items()
        for end, widens, first, second in _RATIOS
        if module.endswith(end) and inwards and outwards
        for factor, kind in ((first, 1), (second, 2))
        if (inwards * factor == outwards if widens else outwards * factor == inwards)
    }
    width = _width(widths)
    of_width = _FLUX2_OF_WIDTH.get(width, "")
    if 2 in found or of_width in (KLEIN_9B, FLUX2_DEV):
        return of_width or KLEIN
    alike = of_width == KLEIN_4B or not width
    if 1 in found or not alike or any(mark in names for mark in _OF_FLUX1):
        return FLUX
    double = {number for kind, number in numbers if kind == "double"}
    single = {number for kind, number in numbers if kind == "single"}
    if max(double, default=0) not in _KLEIN_4B_DOUBLE or max(single, default=0) not in (
        _KLEIN_4B_SINGLE
    ):
        return FLUX
    whole = double == set(_KLEIN_4B_DOUBLE) or single == set(_KLEIN_4B_SINGLE)
    return KLEIN_4B if whole else FLUX_OR_KLEIN


def _width(widths: Widths) -> int:
    """How wide the blocks are; 0 if nothing tells."""
    return _input(widths, _INWARDS) or _output(widths, _OUTWARDS)


def _input(widths: Widths, ends: tuple[str, ...]) -> int:
    """The width of the input of the first module with one of these ends; 0 without one."""
    return next((wide for module, (wide, _) in widths.items() if wide and module.endswith(ends)), 0)


def _output(widths: Widths, ends: tuple[str, ...]) -> int:
    return next((wide for module, (_, wide) in widths.items() if wide and module.endswith(ends)), 0)


def _is_anima(widths: Widths) -> bool:
    """Whether blocks in diffusers' names, which many have, are as wide and read as wide a text."""
    own, text = _ANIMA_WIDTHS
    return any(
        wide == (text, own) and module.endswith(_TEXT_OF_COSMOS) for module, wide in widths.items()
    )
