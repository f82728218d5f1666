"""Which diffusion transformer an adapter was made for, by the names and shapes of its tensors.

Names are read with `_` for every dot. Several models share the names of their blocks: FLUX.1,
Chroma, FLUX.2 and HunyuanVideo have `double_blocks`, in three widths.
"""

import re
from collections.abc import Mapping
from typing import Final

from catalog.weight_files.tensor_names import split

Shapes = Mapping[str, tuple[int, ...]]

FLUX2: Final = "FLUX.2"
FLUX2_SIZES: Final = {
    (5, 20, 3072): "FLUX.2 klein 4B",
    (8, 24, 4096): "FLUX.2 klein 9B",
    (8, 48, 6144): "FLUX.2 dev",
}
"""Double blocks, single blocks and width → model. Its distilled and base models are alike."""
DIT: Final = "DiT"
FLUX1: Final = "Flux"
HUNYUAN: Final = "Hunyuan"

_MARKS: Final = (
    ("_distilled_guidance_layer_", "Chroma"),
    ("_double_stream_blocks_", "HiDream"),
    ("_double_layers_", "AuraFlow"),
    ("_joint_transformer_blocks_", "AuraFlow"),
    ("_llm_adapter_", "Anima"),
    ("_txtfusion_", "Krea 2"),
    ("_text_fusion_", "Krea 2"),
    ("_attn_wq_", "Krea 2"),
    ("_img_mlp_fc1_", HUNYUAN),
    ("_img_mod_linear_", HUNYUAN),
    ("_individual_token_refiner_", HUNYUAN),
    ("_token_refiner_refiner_blocks_", HUNYUAN),
    ("_img_mlp_net_0_proj_", "Qwen-Image"),
)
"""Parts of names that only one of them has."""
_OF_FLUX2: Final = ("_stream_modulation_", "_attn_to_qkv_mlp_proj_", "_ff_linear_in_")
_OF_FLUX: Final = ("_double_blocks_", "_single_blocks_", "_single_transformer_blocks_")
_WIDTHS_OF_FLUX: Final = {width: name for (_, _, width), name in FLUX2_SIZES.items()}
_FLUX1_WIDTH: Final = 3072
"""FLUX.1's, Chroma's, HunyuanVideo's and that of FLUX.2 klein 4B."""
_NINE_WIDTHS: Final = 9
"""Outputs of a single block's first layer in FLUX.2, per input; FLUX.1's has seven."""
_SIX_WIDTHS: Final = 6
"""The same of an MLP's first layer, as FLUX.2's is gated; FLUX.1's has four."""
_FIRST_OF_SINGLE: Final = re.compile(r"_single_blocks_\d+_linear1$")
_FIRST_OF_MLP: Final = re.compile(r"_double_blocks_\d+_(?:img|txt)_mlp_0$")
_NUMBERED: Final = re.compile(r"_(double|single)_(?:transformer_)?blocks_(\d+)_")
_LAYERS: Final = re.compile(r"_(?:layers|noise_refiner|context_refiner)_\d+_(?:attention|feed_fo)")
_COSMOS: Final = re.compile(r"_blocks_\d+_(?:self_attn|cross_attn)_\w_proj$|_mlp_layer1$")
_WAN: Final = re.compile(r"_blocks_\d+_(?:(?:self|cross)_attn_[qkvo]|ffn_0)$")
_OF_LAYERS: Final = {3840: "Z-Image", 2304: "Lumina", 4608: "Ideogram"}
_OF_COSMOS: Final = {2048: "Anima"}


def base_of(shapes: Shapes) -> str:
    """The base model; DIT if it is an unknown one, "" if the names are of something else.

    shapes: of every tensor of the adapter by name.
    """
    modules = _modules(shapes)
    names = "\n".join(f"_{module}_" for module in modules)
    for mark, base in _MARKS:
        if mark in names:
            return base
    if any(mark in names for mark in (*_OF_FLUX2, *_OF_FLUX)):
        return _flux(modules, names)
    for module, parts in modules.items():
        plain = f"_{module}"
        for pattern, bases in ((_LAYERS, _OF_LAYERS), (_COSMOS, _OF_COSMOS)):
            if pattern.search(plain) and (base := bases.get(_sides(parts)[1], "")):
                return base
        if _WAN.search(plain):
            return "Wan"
    return DIT if any(name.startswith(("transformer.", "transformer_")) for name in shapes) else ""


def _flux(modules: Mapping[str, Shapes], names: str) -> str:
    second = any(mark in names for mark in _OF_FLUX2)
    for module, parts in modules.items():
        plain, (rows, width) = f"_{module}", _sides(parts)
        if _FIRST_OF_SINGLE.search(plain) or _FIRST_OF_MLP.search(plain):
            times = _NINE_WIDTHS if _FIRST_OF_SINGLE.search(plain) else _SIX_WIDTHS
            if rows and width:
                return _WIDTHS_OF_FLUX.get(width, FLUX2) if rows == times * width else FLUX1
    inner = (_sides(parts)[1] for module, parts in modules.items() if _reads_stream(module))
    width = next((width for width in inner if width), 0)
    if second or (width != _FLUX1_WIDTH and width in _WIDTHS_OF_FLUX):
        return _WIDTHS_OF_FLUX.get(width, FLUX2)
    last: dict[str, int] = {}
    for side, number in _NUMBERED.findall(names):
        last[side] = max(last.get(side, 0), int(number))
    # As many blocks as klein 4B has, when FLUX.1 has 19 and 38.
    whole = last.get("double") == 4 and last.get("single") == 19
    return _WIDTHS_OF_FLUX[_FLUX1_WIDTH] if whole else FLUX1


def _reads_stream(module: str) -> bool:
    """Whether the input of a module is as wide as the model."""
    return module.endswith(("_qkv", "_to_q", "_to_qkv_mlp_proj", "_linear1", "_linear_in", "_lin"))


def _modules(shapes: Shapes) -> dict[str, dict[str, tuple[int, ...]]]:
    """The tensors of each module by their role in it; names of modules with `_` for every dot."""
    modules: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        if where := split(name):
            modules.setdefault(where[0].replace(".", "_"), {})[where[1]] = shape
    return modules


def _sides(parts: Shapes) -> tuple[int, int]:
    """Outputs and inputs of the module of these tensors; 0 where they do not tell."""
    rows = _side(parts, 0, ("up", "diff", "hada_w1_a"), ("lokr_w1", "lokr_w1_a"), "lokr_w2_a")
    width = _side(parts, 1, ("down", "diff", "hada_w1_b"), ("lokr_w1", "lokr_w1_b"), "lokr_w2_b")
    return rows, width


def _side(
    parts: Shapes, axis: int, plain: tuple[str, ...], first: tuple[str, ...], second: str
) -> int:
    def of(roles: tuple[str, ...]) -> int:
        shapes = (parts[role] for role in roles if role in parts)
        return next((shape[axis] for shape in shapes if len(shape) > axis), 0)

    # The Kronecker product of a×b and c×d is ac×bd; a low-rank factor of one ends as it does.
    return of(plain) or of(first) * of(("lokr_w2", second))
