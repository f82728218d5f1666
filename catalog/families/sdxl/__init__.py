"""Stable Diffusion XL (arXiv 2307.01952), without torch."""

from typing import Final

from catalog.families.sdxl.facts import SDXL

FAMILY: Final = SDXL

__all__ = ["FAMILY", "SDXL"]
