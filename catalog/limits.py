"""How long and how large what stands in the catalog may be."""

from typing import Final

WEIGHT_MIN: Final = -5.0
WEIGHT_MAX: Final = 5.0
"""Of a LoRA."""
NAME_MAX: Final = 80
KEY_MAX: Final = 48
TRIGGER_MAX: Final = 100
"""Characters."""
