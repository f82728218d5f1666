"""What tells the adapters of Cosmos-Predict2's transformer, which Anima has as well."""

import re
from typing import Final

from catalog.families.recognition import Widths, input_width, output_width

# Names are matched with `_` for every dot, each preceded by a line break.
_BLOCKS: Final = re.compile(
    r"blocks_\d+_(?:(?:self|cross)_attn_(?:[qkv]|output)_proj|mlp_layer[12]"
    r"|adaln_modulation_)"
)
_INWARDS: Final = (
    *("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "cross_attn_q_proj"),
    "mlp_layer1",
)
"""Modules whose input is as wide as the blocks."""
_OUTWARDS: Final = (
    *("self_attn_output_proj", "cross_attn_output_proj", "cross_attn_k_proj", "cross_attn_v_proj"),
    "mlp_layer2",
)
TELLING: Final = (*_INWARDS, *_OUTWARDS)
"""Ends of the modules whose widths are looked at."""


def width(names: str, widths: Widths) -> int | None:
    """How wide the blocks are that an adapter with these tensors is for; None if it is for others.

    See `Transformer.adapter_base`. 0 if the widths do not tell.
    """
    if not _BLOCKS.search(names):
        return None
    return input_width(widths, _INWARDS) or output_width(widths, _OUTWARDS)
