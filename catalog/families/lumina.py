"""What tells the adapters of Lumina's transformer, which Z-Image has as well, but wider."""

import re
from typing import Final

from catalog.families.recognition import Widths, input_width, output_width

# Names are matched with `_` for every dot, each preceded by a line break.
_BLOCKS: Final = re.compile(r"layers_\d+_(?:attention_(?:qkv|out|to)_|feed_forward_w\d|adaLN_)")
_REFINERS: Final = re.compile(r"_refiner_(?:(?<=noise_refiner_)|(?<=context_refiner_))\d+_")
"""A pattern that begins with plain letters is looked for ten times as fast."""
_INWARDS: Final = (
    *("attention_qkv", "attention_to_q", "attention_to_k", "attention_to_v"),
    *("feed_forward_w1", "feed_forward_w3"),
)
"""Modules whose input is as wide as the blocks."""
_OUTWARDS: Final = ("attention_out", "attention_to_out_0", "feed_forward_w2")
TELLING: Final = (*_INWARDS, *_OUTWARDS)
"""Ends of the modules whose widths are looked at."""


def width(names: str, widths: Widths) -> int | None:
    """How wide the blocks are that an adapter with these tensors is for; None if it is for others.

    See `Transformer.adapter_base`. 0 if the widths do not tell.
    """
    if not (_BLOCKS.search(names) or _REFINERS.search(names)):
        return None
    return input_width(widths, _INWARDS) or output_width(widths, _OUTWARDS)
