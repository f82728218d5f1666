"""Limits for the values in the catalog."""

from typing import Final

WEIGHT_MIN: Final = -5.0
WEIGHT_MAX: Final = 5.0
"""For a LoRA."""
NAME_MAX: Final = 80
KEY_MAX: Final = 48
TRIGGER_MAX: Final = 100
STYLE_TEXT_MAX: Final = 2_000
TAG_MAX: Final = 40
LICENCE_MAX: Final = 200
"""In characters."""
TAGS_MAX: Final = 20
