"""Anima (CircleStone Labs and Comfy Org, 2026), without torch."""

from typing import Final

from catalog.families.anima.facts import ANIMA

FAMILY: Final = ANIMA

__all__ = ["ANIMA", "FAMILY"]
