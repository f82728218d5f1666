"""Qwen3's configurations, as the families' text encoders have them. Imports transformers."""

from typing import Any, Final

from transformers import Qwen3Config

from tools.headers.models import MODELS

TINY: Final = {
    "vocab_size": 264,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 1024,
}
"""Without the number of layers."""
B4: Final = MODELS["encoder-qwen3-4b"][1]
"""Of 4 billion parameters."""
B06: Final = MODELS["encoder-qwen3-06b"][1]
"""Of 0.6 billion."""


def config(sizes: dict[str, Any]) -> Any:
    """The configuration of these sizes."""
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0}
    return Qwen3Config(**sizes, rope_parameters=rope)
