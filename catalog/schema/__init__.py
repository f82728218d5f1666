"""The schema of catalog entries: their fields and the values these may have."""

from catalog.schema.entries import (
    BUILT_IN_PRESETS,
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ImageCheckEntry,
    PoseEntry,
    ReferenceEntry,
    StyleEntry,
    UpscalerEntry,
)
from catalog.schema.explaining import explain
from catalog.schema.fields import is_key
from catalog.schema.model import FastPreset, ModelEntry

__all__ = [
    "BUILT_IN_PRESETS",
    "AdapterEntry",
    "ControlNetEntry",
    "DepthEntry",
    "DescriberEntry",
    "DetectorEntry",
    "EmbeddingEntry",
    "FastPreset",
    "ImageCheckEntry",
    "ModelEntry",
    "PoseEntry",
    "ReferenceEntry",
    "StyleEntry",
    "UpscalerEntry",
    "explain",
    "is_key",
]
