"""Chroma1 (Lodestone Rock, August 2025), without torch."""

from typing import Final

from catalog.families.chroma.facts import CHROMA

FAMILY: Final = CHROMA

__all__ = ["CHROMA", "FAMILY"]
