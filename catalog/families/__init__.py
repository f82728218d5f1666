"""The model families, without torch, a folder each; the engine has its own half of each."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from catalog.families import discovery
from catalog.families.family import DraftPreset, Family, Variant
from catalog.families.files import TEXT_ENCODER, VAE, PipelineFiles
from catalog.families.sdxl import SDXL

FAMILIES: Final[Mapping[str, Family]] = MappingProxyType(
    {family.key: family for family in discovery.found(__name__, __path__)}
)
"""By key, in the order in which they are listed."""
DEFAULT: Final = SDXL
"""For a model of which nothing says."""


def or_all(families: Iterable[Family]) -> tuple[Family, ...]:
    """Each of these once, or else all that there are."""
    return tuple({family.key: family for family in families}.values()) or (*FAMILIES.values(),)


def of_architecture(name: str) -> Family | None:
    """The family of the models that `weight_files` calls so; None if there is none."""
    return next((each for each in FAMILIES.values() if name in each.architectures), None)


def of_repository(hub_id: str) -> Family | None:
    """The family of a well-known repository on the hub; None if it is not known."""
    return next(
        (each for each in FAMILIES.values() if hub_id.casefold() in each.repositories), None
    )


__all__ = [
    "DEFAULT",
    "FAMILIES",
    "TEXT_ENCODER",
    "VAE",
    "DraftPreset",
    "Family",
    "PipelineFiles",
    "Variant",
    "of_architecture",
    "of_repository",
    "or_all",
]
