"""Stable Diffusion 1.5 (arXiv 2112.10752), without torch."""

from typing import Final

from catalog.families.sd15.facts import SD15

FAMILY: Final = SD15

__all__ = ["FAMILY", "SD15"]
