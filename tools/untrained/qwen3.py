"""Qwen3's configurations, as the families' text encoders have them. Imports transformers."""

from typing import Any, Final

from transformers import Qwen3Config

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
_TRUE: Final = {"vocab_size": 151_936, "num_key_value_heads": 8, "head_dim": 128}
B4: Final = {
    **_TRUE,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "max_position_embeddings": 40_960,
}
"""Of 4 billion parameters."""
B06: Final = {
    **_TRUE,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "max_position_embeddings": 32_768,
}
"""Of 0.6 billion."""


def config(sizes: dict[str, Any], **more: Any) -> Any:
    """The configuration of these sizes."""
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0}
    return Qwen3Config(**sizes, rope_parameters=rope, **more)
