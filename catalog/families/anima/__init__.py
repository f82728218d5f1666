"""Anima (CircleStone Labs and Comfy Org, 2026), without torch."""

from catalog.families.anima.facts import ANIMA

__all__ = ["ANIMA"]
