"""Switching entries off while the program runs, whatever the files say."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias, TypeVar

from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    EmbeddingEntry,
    ModelEntry,
    UpscalerEntry,
)
from catalog.snapshot import Catalog

EntryKind: TypeAlias = Literal["model", "adapter", "embedding", "upscaler", "controlnet"]
SwitchedOff: TypeAlias = Collection[tuple[EntryKind, str]]
"""The kind and key of each entry."""
EntryT = TypeVar("EntryT", ModelEntry, AdapterEntry, EmbeddingEntry, UpscalerEntry, ControlNetEntry)


Entry: TypeAlias = ModelEntry | AdapterEntry | EmbeddingEntry | UpscalerEntry | ControlNetEntry


def entries_of(catalog: Catalog, kind: EntryKind) -> Mapping[str, Entry]:
    """All of that kind by key, disabled ones too."""
    match kind:
        case "model":
            return catalog.models
        case "adapter":
            return catalog.adapters
        case "embedding":
            return catalog.embeddings.entries
        case "upscaler":
            return catalog.upscalers.entries
        case "controlnet":
            return catalog.controlnets.entries


def without(catalog: Catalog, off: SwitchedOff) -> Catalog:
    """`catalog` with these entries disabled. What it does not have is passed over."""
    if not any(key in entries_of(catalog, kind) for kind, key in off):
        return catalog
    models = _disabled(catalog.models, "model", off)
    offered = [
        model.key
        for model in models.values()
        if model.enabled and model.key not in catalog.unfit_models
    ]
    default = catalog.default if catalog.default in offered else next(iter(offered), "")
    return replace(
        catalog,
        models=models,
        adapters=_disabled(catalog.adapters, "adapter", off),
        default=default,
        embeddings=replace(
            catalog.embeddings, entries=_disabled(catalog.embeddings.entries, "embedding", off)
        ),
        upscalers=replace(
            catalog.upscalers, entries=_disabled(catalog.upscalers.entries, "upscaler", off)
        ),
        controlnets=replace(
            catalog.controlnets, entries=_disabled(catalog.controlnets.entries, "controlnet", off)
        ),
    )


def _disabled(
    entries: Mapping[str, EntryT], kind: EntryKind, off: SwitchedOff
) -> Mapping[str, EntryT]:
    keys = {key for of, key in off if of == kind}
    return MappingProxyType(
        {
            key: entry.model_copy(update={"enabled": False}) if key in keys else entry
            for key, entry in entries.items()
        }
    )
