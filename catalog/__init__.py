"""The catalog: which models and LoRAs there are, where their weights lie, how people find them."""

from catalog.facts import UNKNOWN, AdapterFacts, Misfit
from catalog.live import LiveCatalog
from catalog.locate import Location, locate, locate_entry, problems_of
from catalog.reader import read_catalog
from catalog.schema import (
    SCHEDULERS,
    SDXL_CONFIG,
    WEIGHT_MAX,
    WEIGHT_MIN,
    AdapterEntry,
    FloatRange,
    IntRange,
    ModelEntry,
)
from catalog.snapshot import Catalog, CatalogError, Problem

__all__ = [
    "SCHEDULERS",
    "SDXL_CONFIG",
    "UNKNOWN",
    "WEIGHT_MAX",
    "WEIGHT_MIN",
    "AdapterEntry",
    "AdapterFacts",
    "Catalog",
    "CatalogError",
    "FloatRange",
    "IntRange",
    "LiveCatalog",
    "Location",
    "Misfit",
    "ModelEntry",
    "Problem",
    "locate",
    "locate_entry",
    "problems_of",
    "read_catalog",
]
