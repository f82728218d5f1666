"""Z-Image (Alibaba Tongyi Lab, November 2025), without torch."""

from catalog.families.zimage.facts import ZIMAGE

__all__ = ["ZIMAGE"]
