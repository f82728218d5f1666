"""T5's configurations, as the families' text encoders have them. Imports transformers."""

from typing import Any, Final

from transformers import T5Config

from tools.headers.models import MODELS

TINY: Final = {
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 3,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
}
XXL: Final = MODELS["encoder-t5-xxl"][1]
"""Of 4.8 billion parameters."""


def config(sizes: dict[str, Any]) -> Any:
    """The configuration of these sizes."""
    return T5Config(**sizes)
