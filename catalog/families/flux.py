"""What tells apart the transformers of Black Forest Labs, FLUX.1 and FLUX.2, and their adapters,
and those of Chroma, which was made from FLUX.1.

Names alone do not: their blocks have the same, and FLUX.2 klein 4B is as wide as FLUX.1. What tells
is how wide a block's layers are compared with each other, how many blocks there are, and layers
that only one of them has (black-forest-labs/flux2 src/flux2/model.py; meta-device models of
diffusers 0.42).
"""

import re
from collections.abc import Callable, Collection
from typing import Final

from catalog.families.recognition import Shapes, Widths, counted, input_width, output_width

FLUX: Final = "FLUX.1"
FLUX_OR_KLEIN: Final = "FLUX.1/FLUX.2 klein"
"""Of layers that both have, in blocks that both have."""
CHROMA: Final = "Chroma"
FLUX_OR_CHROMA: Final = "FLUX.1/Chroma"
"""Of layers that both have: 421 of Chroma's 433 matrices are FLUX.1's in name and shape."""
KLEIN: Final = "FLUX.2 klein"
KLEIN_4B: Final = "FLUX.2 klein 4B"
KLEIN_9B: Final = "FLUX.2 klein 9B"
FLUX2: Final = "FLUX.2"
FLUX2_DEV: Final = "FLUX.2 dev"

INPUTS: Final = ("img_in.weight", "x_embedder.weight")
"""What reads the latents, in its authors' names and in diffusers'."""
_TEXT: Final = ("txt_in.weight", "context_embedder.weight")
WIDTH: Final = 3072
_T5_WIDTH: Final = 4096
"""Of the states of T5 XXL. Models that were built like it read other encoders."""
TASKS: Final = {384: "Fill", 128: "Control", 196: "Control"}
"""Width of a FLUX.1's input, which is 64, → what it is for instead: to fill in a part of an image,
or to follow one."""

_TRANSFORMER2: Final = (
    "double_stream_modulation_img.lin.weight",
    "double_stream_modulation_img.linear.weight",
)
"""Tensors of FLUX.2, in its authors' names and in diffusers'."""
_FLUX2_SIZES: Final = {
    (5, 20, 3072): KLEIN_4B,
    (8, 24, 4096): KLEIN_9B,
    (8, 48, 6144): FLUX2_DEV,
}
"""Double blocks, single blocks and width → model. Its distilled and base models are alike."""
_KLEIN_4B_WIDTH: Final = 3072
_GUIDED: Final = (
    "guidance_in.in_layer.weight",
    "time_guidance_embed.guidance_embedder.linear_1.weight",
)
"""What only FLUX.2 dev has."""

_FLUX2_OF_WIDTH: Final = {3072: KLEIN_4B, 4096: KLEIN_9B, 6144: FLUX2_DEV}
_KLEIN_4B_DOUBLE, _KLEIN_4B_SINGLE = range(5), range(20)
"""The numbers of its blocks; FLUX.1 has 19 and 38."""
_OF_BLOCKS: Final = {
    (5, 3072): KLEIN_4B,
    (8, 4096): KLEIN_9B,
    (8, 6144): FLUX2_DEV,
    (19, 3072): FLUX,
}
"""Blocks of two streams and their width. HunyuanVideo has 20 and Qwen-Image 60, of the same names.
"""

# Below, names are matched with `_` for every dot, each preceded by a line break.
_OF_FLUX2: Final = (
    *("double_stream_modulation_", "single_stream_modulation_", "time_guidance_embed_"),
    *("_attn_to_qkv_mlp_proj", "_ff_linear_in", "_ff_linear_out"),
    *("_ff_context_linear_in", "_ff_context_linear_out"),
)
_OUT_OF_FLUX2: Final = re.compile(r"single_transformer_blocks_\d+_attn_to_out_(?!0_)")
"""AuraFlow has its own there, and `linear_1` and `linear_2` after `ff`."""
_OF_FLUX1: Final = (
    *("_img_mod_lin", "_txt_mod_lin", "_modulation_lin", "vector_in_"),
    *("\nlora_te1_text_model_", "\ntext_encoder_text_model_"),
    *("\nclip_l_", "\ntext_encoders_clip_l_"),
)
"""Layers that modulate each block, and CLIP, which neither FLUX.2 nor Chroma has."""
_NOT_OF_CHROMA: Final = (
    *_OF_FLUX1,
    *("_norm1_linear", "_norm1_context_linear", "_norm_linear", "norm_out_linear"),
    *("time_in_", "guidance_in_", "time_text_embed_", "final_layer_adaLN_modulation_"),
    "_processor_",  # as XLabs' trainer writes
)
"""The same, and more of FLUX.1, which Chroma has an approximator for."""
_BLOCKS: Final = {kind: re.compile(rf"{kind}_blocks_(\d+)_") for kind in ("double", "single")}
_SINGLE_OF_DIFFUSERS: Final = re.compile(r"single_transformer_blocks_\d+_(?:attn_to_[qkv]_|proj_)")
_DOUBLE_OF_DIFFUSERS: Final = re.compile(
    r"transformer_blocks_(?<!single_transformer_blocks_)(?<!joint_transformer_blocks_)(\d+)"
    r"_attn_(?:to|add)_"
)
"""A pattern that begins with plain letters is looked for ten times as fast."""

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
TELLING: Final = (*_INWARDS, *_OUTWARDS)
"""Ends of the modules whose widths are looked at."""


def flux2(prefix: str, shapes: Shapes) -> str:
    """Which FLUX.2 is in a file with these tensors, its names behind this prefix; "" if none is.

    Of an unknown size it is FLUX2_DEV if it is told its guidance, KLEIN_4B if it has both kinds of
    blocks and is narrower than that, whose architecture it has, and else FLUX2.
    """
    if not any(prefix + tensor in shapes for tensor in _TRANSFORMER2):
        return ""
    double, single = (
        max(counted(f"{prefix}{name}.", shapes) for name in names)
        for names in (
            ("double_blocks", "transformer_blocks"),
            ("single_blocks", "single_transformer_blocks"),
        )
    )
    inputs = shapes.get(f"{prefix}img_in.weight") or shapes.get(f"{prefix}x_embedder.weight")
    width = inputs[0] if inputs else 0
    if known := _FLUX2_SIZES.get((double, single, width)):
        return known
    if any(prefix + tensor in shapes for tensor in _GUIDED):
        return FLUX2_DEV
    narrow = double and single and 0 < width < _KLEIN_4B_WIDTH
    return KLEIN_4B if narrow else FLUX2


def adapter_base(names: str, widths: Widths) -> str:
    """Which of these models an adapter is for; "" if they do not tell, or it is for none.

    See `Transformer.adapter_base`. Of an adapter that may also be for HunyuanVideo or Qwen-Image it
    is FLUX_OR_CHROMA, FLUX_OR_KLEIN or "".
    """
    base = _adapter_base(names, widths)
    told = base != FLUX or any(mark in names for mark in _NOT_OF_CHROMA)
    return base if told else FLUX_OR_CHROMA


def _adapter_base(names: str, widths: Widths) -> str:
    """The same, without telling FLUX.1 from Chroma."""
    if any(mark in names for mark in _OF_FLUX2) or _OUT_OF_FLUX2.search(names):
        return _FLUX2_OF_WIDTH.get(_width(widths), KLEIN)
    double, single = ({int(n) for n in _BLOCKS[kind].findall(names)} for kind in _BLOCKS)
    if double or single:
        return _of_blocks(names, widths, double, single)
    if _SINGLE_OF_DIFFUSERS.search(names):
        return FLUX
    if double := {int(n) for n in _DOUBLE_OF_DIFFUSERS.findall(names)}:
        count = len(double) if double == set(range(len(double))) else 0
        return _OF_BLOCKS.get((count, _width(widths)), "")
    return ""


def _of_blocks(names: str, widths: Widths, double: set[int], single: set[int]) -> str:
    """By the numbers of the blocks of two streams and of one."""
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
    if max(double, default=0) not in _KLEIN_4B_DOUBLE or max(single, default=0) not in (
        _KLEIN_4B_SINGLE
    ):
        return FLUX
    whole = double == set(_KLEIN_4B_DOUBLE) or single == set(_KLEIN_4B_SINGLE)
    return KLEIN_4B if whole else FLUX_OR_KLEIN


def _width(widths: Widths) -> int:
    """How wide the blocks are; 0 if nothing tells."""
    return input_width(widths, _INWARDS) or output_width(widths, _OUTWARDS)


def adapter_base_among(bases: Collection[str]) -> Callable[[str, Widths], str]:
    """The same as `adapter_base`, but only one of `bases`."""

    def told(names: str, widths: Widths) -> str:
        base = adapter_base(names, widths)
        return base if base in bases else ""

    return told


def numbers_read(prefix: str, shapes: Shapes) -> int:
    """How many numbers of a token a transformer reads that is built like FLUX.1; 0 for one that
    reads another text encoder than T5 XXL."""
    inputs, text = (
        next((shapes[prefix + name] for name in names if prefix + name in shapes), ())
        for names in (INPUTS, _TEXT)
    )
    own = len(inputs) == 2 and (inputs[0] < WIDTH or text[-1:] == (_T5_WIDTH,))
    return inputs[1] if own else 0
