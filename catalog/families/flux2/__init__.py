"""FLUX.2 klein (Black Forest Labs, January 2026), without torch."""

from catalog.families.flux2.facts import FLUX2

__all__ = ["FLUX2"]
