"""FLUX.1 (Black Forest Labs, August 2024), without torch."""

from typing import Final

from catalog.families.flux1.facts import FLUX1

FAMILY: Final = FLUX1

__all__ = ["FAMILY", "FLUX1"]
