"""The catalog: which models and LoRAs exist, where their weights are, how users find them."""

from catalog.abilities import Abilities, abilities
from catalog.allowance import EVERYTHING, TAG, Allowance
from catalog.changes import CatalogChanges, changes
from catalog.control_types import CONTROL_TYPES
from catalog.controlnets import ControlNets
from catalog.embeddings import Embeddings
from catalog.kept import KeptFacts
from catalog.limits import WEIGHT_MAX, WEIGHT_MIN
from catalog.live import LiveCatalog, Pace
from catalog.locate import Location, locate
from catalog.misfit import Misfit
from catalog.presence import locate_entry
from catalog.problems import problems_of
from catalog.progress import read_with_progress
from catalog.ranges import FloatRange, IntRange
from catalog.reader import Demos, read_catalog
from catalog.schedulers import SCHEDULERS
from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    FastPreset,
    ImageCheckEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    StyleEntry,
    UpscalerEntry,
)
from catalog.snapshot import Catalog, CatalogError, Problem
from catalog.style_index import Styles
from catalog.switching import EntryKind, SwitchedOff, entries_of
from catalog.unfit import Unfit
from catalog.upscalers import Upscalers
from catalog.weight_files import (
    UNKNOWN,
    AdapterFacts,
    ControlNetFacts,
    EmbeddingFacts,
    UpscalerFacts,
)
from catalog.wildcard_index import WildcardFile, Wildcards
from catalog.words import Words

__all__ = [
    "CONTROL_TYPES",
    "EVERYTHING",
    "SCHEDULERS",
    "TAG",
    "UNKNOWN",
    "WEIGHT_MAX",
    "WEIGHT_MIN",
    "Abilities",
    "AdapterEntry",
    "AdapterFacts",
    "Allowance",
    "Catalog",
    "CatalogChanges",
    "CatalogError",
    "ControlNetEntry",
    "ControlNetFacts",
    "ControlNets",
    "Demos",
    "DepthEntry",
    "DescriberEntry",
    "DetectorEntry",
    "EmbeddingEntry",
    "EmbeddingFacts",
    "Embeddings",
    "EntryKind",
    "FastPreset",
    "FloatRange",
    "ImageCheckEntry",
    "IntRange",
    "KeptFacts",
    "LiveCatalog",
    "Location",
    "Misfit",
    "ModelEntry",
    "Pace",
    "PoseEntry",
    "Problem",
    "ReferenceEntry",
    "StyleEntry",
    "Styles",
    "SwitchedOff",
    "Unfit",
    "UpscalerEntry",
    "UpscalerFacts",
    "Upscalers",
    "WildcardFile",
    "Wildcards",
    "Words",
    "abilities",
    "changes",
    "entries_of",
    "locate",
    "locate_entry",
    "problems_of",
    "read_catalog",
    "read_with_progress",
]
