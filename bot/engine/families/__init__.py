"""The model families, a folder each, and the interface they share. Imports torch."""

from collections.abc import Mapping
from typing import Final

from bot.engine.families.anima import Anima
from bot.engine.families.family import (
    Conditioning,
    Encoded,
    Family,
    LoadedModel,
    PreviewFactors,
    Recall,
    Tensors,
)
from bot.engine.families.flux2 import Flux2
from bot.engine.families.sd15 import SD15
from bot.engine.families.sdxl import SDXL
from bot.engine.families.zimage import ZImage
from catalog import ModelEntry
from catalog.families import VAE, PipelineFiles

_ALL: Final[tuple[Family, ...]] = (SDXL(), SD15(), Flux2(), ZImage(), Anima())
FAMILIES: Final[Mapping[str, Family]] = {family.key: family for family in _ALL}
"""By key."""


def family_of(entry: ModelEntry) -> Family:
    """The family of a model in the catalog."""
    return FAMILIES[entry.family.key]


__all__ = [
    "FAMILIES",
    "VAE",
    "Conditioning",
    "Encoded",
    "Family",
    "LoadedModel",
    "PipelineFiles",
    "PreviewFactors",
    "Recall",
    "Tensors",
    "family_of",
]
