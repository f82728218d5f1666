"""What the text encoders are called that a file of another can stand in for."""

from typing import Final

QWEN3_4B: Final = "Qwen3-4B"
QWEN3_06B: Final = "Qwen3-0.6B"
QWEN3_VL_4B: Final = "Qwen3-VL-4B"
T5_XXL: Final = "T5-XXL"
"""The encoder of T5 v1.1 XXL."""
