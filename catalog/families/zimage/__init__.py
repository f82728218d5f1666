"""Z-Image (Alibaba Tongyi Lab, November 2025), without torch."""

from typing import Final

from catalog.families.zimage.facts import ZIMAGE

FAMILY: Final = ZIMAGE

__all__ = ["FAMILY", "ZIMAGE"]
