"""Krea 2 (Krea AI, June 2026), without torch."""

from typing import Final

from catalog.families.krea2.facts import KREA2

FAMILY: Final = KREA2

__all__ = ["FAMILY", "KREA2"]
