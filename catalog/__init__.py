"""The catalog: which models and LoRAs there are, where their weights lie, how people find them."""

from catalog.facts import UNKNOWN, AdapterFacts, Misfit
from catalog.live import LiveCatalog
from catalog.locate import Location, locate, locate_entry, problems_of
from catalog.reader import Demos, read_catalog
from catalog.schema import (
    FAST_GUIDANCE,
    FAST_STEPS,
    SCHEDULERS,
    SDXL_CONFIG,
    WEIGHT_MAX,
    WEIGHT_MIN,
    AdapterEntry,
    FastPreset,
    FloatRange,
    IntRange,
    ModelEntry,
    ReferenceEntry,
)
from catalog.snapshot import Catalog, CatalogError, Problem

__all__ = [
    "FAST_GUIDANCE",
    "FAST_STEPS",
    "SCHEDULERS",
    "SDXL_CONFIG",
    "UNKNOWN",
    "WEIGHT_MAX",
    "WEIGHT_MIN",
    "AdapterEntry",
    "AdapterFacts",
    "Catalog",
    "CatalogError",
    "Demos",
    "FastPreset",
    "FloatRange",
    "IntRange",
    "LiveCatalog",
    "Location",
    "Misfit",
    "ModelEntry",
    "Problem",
    "ReferenceEntry",
    "locate",
    "locate_entry",
    "problems_of",
    "read_catalog",
]
