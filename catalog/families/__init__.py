"""The model families, without torch; the engine has its own half of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from catalog.families.anima import ANIMA
from catalog.families.family import DraftPreset, Family
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from catalog.families.zimage import ZIMAGE

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.key: family for family in (SDXL,)})
"""By key."""
DEFAULT: Final = SDXL
"""For a model whose files do not say."""

__all__ = ["ANIMA", "DEFAULT", "FAMILIES", "FLUX2", "SDXL", "ZIMAGE", "DraftPreset", "Family"]
