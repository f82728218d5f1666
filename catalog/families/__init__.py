"""The model families, without torch; the engine has its own half of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from catalog.families.family import DraftPreset, Family
from catalog.families.sdxl import SDXL

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.key: family for family in (SDXL,)})
"""By key."""
DEFAULT: Final = SDXL
"""For a model whose files do not say."""

__all__ = ["DEFAULT", "FAMILIES", "SDXL", "DraftPreset", "Family"]
