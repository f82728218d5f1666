"""The model families, a folder each, and the interface they share. Imports torch."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.engine.families import discovery
from bot.engine.families.family import (
    Conditioning,
    ControlNetwork,
    Encoded,
    Family,
    LoadedModel,
    PreviewFactors,
    Recall,
    Tensors,
)
from catalog import ModelEntry, families
from catalog.families import VAE, PipelineFiles

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    discovery.found(__name__, __path__, families.FAMILIES)
)
"""By key."""


def family_of(entry: ModelEntry) -> Family:
    """The family of a model in the catalog."""
    return FAMILIES[entry.family.key]


__all__ = [
    "FAMILIES",
    "VAE",
    "Conditioning",
    "ControlNetwork",
    "Encoded",
    "Family",
    "LoadedModel",
    "PipelineFiles",
    "PreviewFactors",
    "Recall",
    "Tensors",
    "family_of",
]
