"""The model families, as far as they need no torch; the engine has a half of each for itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from catalog.families.family import DraftPreset, Family
from catalog.families.sdxl import SDXL

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType({family.key: family for family in (SDXL,)})
"""By key."""
DEFAULT: Final = SDXL
"""Of a model whose files do not say."""

__all__ = ["DEFAULT", "FAMILIES", "SDXL", "DraftPreset", "Family"]
