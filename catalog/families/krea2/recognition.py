"""Which files are of Krea 2."""

import re
from collections.abc import Mapping
from typing import Any, Final

from catalog.families.recognition import BaseNames, Shapes, Transformer, Widths

KREA_2: Final = "Krea 2"
"""What its models and the base of its adapters are called."""
LAYERS: Final = (2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35)
"""Of the text encoder, those whose states are read: what comes out of each, counted from 1."""

_PROJECTORS: Final = ("txtfusion.projector.weight", "text_fusion.projector.weight")
"""The matrix that makes one state of these, in its authors' names and in diffusers'."""
_WIDTHS: Final = (6144, 1536)
"""Of its blocks, and of their keys and values, of which FLUX.2 dev's blocks have as many."""
_KEYS: Final = ("_attn_to_k", "_attn_to_v")
_FUSED: Final = "_attn_to_qkv"
_FUSED_WIDTHS: Final = (6144, 6144 + 2 * 1536)
"""What diffusers makes of these and of the queries, which are as wide as the blocks."""

# Names are matched with `_` for every dot. A pattern that begins with plain letters is looked for
# ten times as fast.
_MARKS: Final = ("txtfusion_", "text_fusion_")
_BLOCKS: Final = (
    re.compile(r"blocks_\d+_(?:attn_(?:w[qkvo]|gate)|mlp_(?:gate|up|down))_"),
    re.compile(r"transformer_blocks_\d+_(?:attn_to_gate_(?!logits_)|ff_(?:gate|up|down)_)"),
)
"""The same, of its blocks; LTX-2 has `to_gate_logits`."""


def _model(prefix: str, shapes: Shapes) -> str:
    # Without its one row in a .gguf file.
    own = any(shapes.get(prefix + name, ())[-1:] == (len(LAYERS),) for name in _PROJECTORS)
    return KREA_2 if own else ""


def _folder(index: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    """Such a pipeline may read other layers of its text encoder, and see larger patches."""
    layers = index.get("text_encoder_select_layers")
    if layers is not None and layers != [*LAYERS]:
        return f"{KREA_2} (other layers of its text encoder)"
    return "" if index.get("patch_size", 2) == 2 else f"{KREA_2} (other patches)"


def _adapter_base(names: str, widths: Widths) -> str:
    if any(mark in names for mark in _MARKS) or any(each.search(names) for each in _BLOCKS):
        return KREA_2
    own = any(
        (wide == _WIDTHS and module.endswith(_KEYS))
        or (wide == _FUSED_WIDTHS and module.endswith(_FUSED))
        for module, wide in widths.items()
    )
    return KREA_2 if own else ""


RECOGNITION: Final = Transformer(
    model=_model,
    pipeline="Krea2",
    folder=_folder,
    adapter_base=_adapter_base,
    telling=(*_KEYS, _FUSED),
    base_names=BaseNames(bases=(("krea2", KREA_2),)),
)
