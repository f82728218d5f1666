"""`GET /models`, `/loras`, `/embeddings` and `/controlnets`: what the catalog offers a caller, and
what it does not."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bot.api.original.bodies import NAMES
from bot.backend import Backend
from bot.request import default_model
from bot.store import ApiKey
from catalog import (
    AdapterFacts,
    Catalog,
    EmbeddingFacts,
    ModelEntry,
    UpscalerEntry,
    abilities,
    locate_entry,
    problems_of,
)
from catalog.abilities import as_json, sure_family
from catalog.families import Family
from catalog.listing import Entry, controlnet_facts


async def models(backend: Backend, caller: ApiKey) -> list[dict[str, Any]]:
    """Every model that the caller may know of."""
    return await asyncio.to_thread(
        _models,
        backend.catalog.current,
        backend.settings.models_dir.absolute(),
        backend.loaded(),
        caller,
    )


async def adapters(backend: Backend, caller: ApiKey) -> list[dict[str, Any]]:
    """Every LoRA that the caller may know of."""
    return await asyncio.to_thread(
        _adapters, backend.catalog.current, backend.settings.models_dir.absolute(), caller
    )


async def embeddings(backend: Backend, caller: ApiKey) -> list[dict[str, Any]]:
    """Every embedding that the caller may know of."""
    return await asyncio.to_thread(
        _embeddings, backend.catalog.current, backend.settings.models_dir.absolute(), caller
    )


async def upscalers(backend: Backend, caller: ApiKey) -> list[dict[str, Any]]:
    """Every upscaler that the caller may know of."""
    return await asyncio.to_thread(
        _upscalers, backend.catalog.current, backend.settings.models_dir.absolute(), caller
    )


async def controlnets(backend: Backend, caller: ApiKey) -> list[dict[str, Any]]:
    """Every ControlNet that the caller may know of."""
    return await asyncio.to_thread(
        _controlnets, backend.catalog.current, backend.settings.models_dir.absolute(), caller
    )


def _models(
    catalog: Catalog, models_dir: Path, loaded: frozenset[str], caller: ApiKey
) -> list[dict[str, Any]]:
    default = default_model(catalog, nsfw=caller.nsfw)
    return [
        _model(
            entry,
            catalog,
            models_dir,
            default=entry.key == default,
            loaded=entry.key in loaded,
            nsfw=caller.nsfw,
        )
        for entry in catalog.models.values()
        if caller.nsfw or not entry.nsfw
    ]


def _model(
    entry: ModelEntry,
    catalog: Catalog,
    models_dir: Path,
    *,
    default: bool,
    loaded: bool,
    nsfw: bool,
) -> dict[str, Any]:
    family = sure_family(entry, catalog, locate_entry(entry, models_dir, catalog.lacking))
    return {
        **_named(entry),
        "default": default,
        "family": family and family.key,
        "base": family and family.adapter_bases[0],  # as of LoRAs, so that the two compare
        **as_json(abilities(entry, catalog, nsfw=nsfw) if family else None, NAMES),
        **_limits(entry, family),
        "negative_prompt": entry.default_negative,
        "loaded": loaded,
        **_state(entry, catalog, models_dir, catalog.unfit_models.get(entry.key)),
    }


def _limits(entry: ModelEntry, family: Family | None) -> dict[str, Any]:
    """What may be asked of it; null where nothing says of which family, or variant, it is."""
    told = family and entry.told_variant
    side = {"min": entry.min_side, "max": entry.max_side, "multiple_of": entry.family.pixel_step}
    return {
        "width": entry.size[0] if family else None,
        "height": entry.size[1] if family else None,
        "steps": _bounds(entry.steps) if told else None,
        "guidance_scale": _bounds(entry.guidance) if told else None,
        "scheduler": entry.scheduler if family else None,
        "schedulers": list(entry.schedulers) if family else None,
        "side": side if family else None,
        "max_pixels": entry.max_pixels if family else None,
    }


def _adapters(catalog: Catalog, models_dir: Path, caller: ApiKey) -> list[dict[str, Any]]:
    listed = []
    offered = catalog.offered_models(nsfw=caller.nsfw)
    for entry in catalog.adapters.values():
        if entry.nsfw and not caller.nsfw:
            continue
        facts = catalog.facts(entry.key) or AdapterFacts()
        listed.append(
            {
                **_named(entry),
                "trigger_words": list(entry.trigger_words or facts.candidates),
                "default_weight": entry.default_weight,
                "base": facts.base or None,
                "kind": facts.algorithm,
                "rank": facts.rank,
                "models": _fitting(entry.key, offered, catalog),
                **_state(entry, catalog, models_dir, catalog.misfit(entry.key)),
            }
        )
    return listed


def _fitting(adapter: str, models: Sequence[ModelEntry], catalog: Catalog) -> list[str]:
    """Keys of those of `models` with which the adapter can be used."""
    return [model.key for model in models if catalog.misfit(adapter, model.key) is None]


def _embeddings(catalog: Catalog, models_dir: Path, caller: ApiKey) -> list[dict[str, Any]]:
    listed = []
    for entry in catalog.embeddings.entries.values():
        if entry.nsfw and not caller.nsfw:
            continue
        facts = catalog.embeddings.facts.get(entry.key) or EmbeddingFacts()
        listed.append(
            {
                **_named(entry),
                "base": facts.base or None,
                "vectors": facts.vectors or None,
                **_state(entry, catalog, models_dir, catalog.embeddings.misfit(entry.key)),
            }
        )
    return listed


def _upscalers(catalog: Catalog, models_dir: Path, caller: ApiKey) -> list[dict[str, Any]]:
    found = catalog.upscalers
    default = next(iter(found.offered(nsfw=caller.nsfw)), None)
    listed = []
    for entry in found.entries.values():
        if entry.nsfw and not caller.nsfw:
            continue
        facts = found.facts.get(entry.key)
        listed.append(
            {
                **_named(entry),
                "default": entry is default,
                "factor": facts.factor if facts else None,
                **_state(entry, catalog, models_dir, found.unfit.get(entry.key)),
            }
        )
    return listed


def _controlnets(catalog: Catalog, models_dir: Path, caller: ApiKey) -> list[dict[str, Any]]:
    listed = []
    offered = catalog.offered_models(nsfw=caller.nsfw)
    known = catalog.controlnets
    for entry in known.entries.values():
        if entry.nsfw and not caller.nsfw:
            continue
        place = locate_entry(entry, models_dir, catalog.lacking)
        said = controlnet_facts(entry, catalog, place)
        listed.append(
            {
                **_named(entry),
                **{name: said[name] for name in ("type", "types", "kind", "base")},
                "models": [
                    model.key
                    for model in offered
                    if said["base"] is not None and known.fits(entry.key, model)
                ],
                **_state(entry, catalog, models_dir, known.unfit.get(entry.key)),
            }
        )
    return listed


def _named(entry: Entry | UpscalerEntry) -> dict[str, Any]:
    return {"key": entry.key, "name": entry.name, "description": entry.description}


def _bounds(range_: Any) -> dict[str, Any]:
    return {"min": range_.min, "default": range_.default, "max": range_.max}


def _state(
    entry: Entry | UpscalerEntry, catalog: Catalog, models_dir: Path, why: object | None
) -> dict[str, Any]:
    problems = [*problems_of(entry, models_dir, catalog.lacking), *([str(why)] if why else [])]
    located = locate_entry(entry, models_dir, catalog.lacking)
    return {
        "enabled": entry.enabled,
        "available": entry.enabled and located.available and not problems,
        "problems": problems,
    }
