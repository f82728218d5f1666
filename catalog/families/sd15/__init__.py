"""Stable Diffusion 1.5 (arXiv 2112.10752), without torch."""

from catalog.families.sd15.facts import SD15

__all__ = ["SD15"]
