"""FLUX.2 klein (Black Forest Labs, January 2026), without torch."""

from typing import Final

from catalog.families.flux2.facts import FLUX2

FAMILY: Final = FLUX2

__all__ = ["FAMILY", "FLUX2"]
