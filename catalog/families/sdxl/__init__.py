"""Stable Diffusion XL (arXiv 2307.01952), without torch."""

from catalog.families.sdxl.facts import SDXL

__all__ = ["SDXL"]
