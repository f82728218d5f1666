"""Checkpoints, LoRAs and embeddings as AUTOMATIC1111 lists and names them.

A hash is known once a file was used: to compute it, gigabytes have to be read.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from bot.recipe import Weights
from bot.request.dialects.controlnet import MODULES, OFFERED_MODULES, TYPE_NAMES
from bot.store import ApiKey
from catalog import AdapterEntry, AdapterFacts, Catalog, EmbeddingEntry, ModelEntry, locate_entry

Known = Mapping[str, Weights]
"""What was used before, by catalog key."""

_HASH_MIN: Final = 8
_HASH_DIGITS: Final = frozenset("0123456789abcdef")
_WIDTHS: Final = (768, 1280)
"""Of the vectors of SD 1.5's text encoder, and of SDXL's second one."""


def title(entry: ModelEntry, known: Known) -> str:
    """`name`, or `name [hash]` once the hash is known."""
    weights = known.get(entry.key)
    return f"{entry.key} [{weights.short}]" if weights else entry.key


def named(text: str, catalog: Catalog, known: Known, *, nsfw: bool) -> str:
    """What to look up for a title, name, file name or hash: the key where only we can tell."""
    if catalog.models_called(text):
        return text
    wanted = text.strip().casefold()
    hashed = len(wanted) >= _HASH_MIN and set(wanted) <= _HASH_DIGITS
    for entry in catalog.offered_models(nsfw=nsfw):
        weights = known.get(entry.key)
        if hashed and weights and weights.sha256.startswith(wanted):
            return entry.key
        if wanted == _file(entry).casefold():
            return entry.key
    return text


def listed_models(
    catalog: Catalog, models_dir: Path, known: Known, caller: ApiKey
) -> list[dict[str, Any]]:
    """For `GET /sd-models`: those whose files are here, or can be downloaded. Touches the disk."""
    listed = []
    for entry in catalog.offered_models(nsfw=caller.nsfw):
        weights = known.get(entry.key)
        if locate_entry(entry, models_dir, catalog.lacking).kind in ("missing", "unreadable"):
            continue
        listed.append(
            {
                "title": title(entry, known),
                "model_name": entry.key,
                "hash": weights and weights.short,
                "sha256": weights and weights.sha256,
                "filename": _file(entry),
                "config": None,
            }
        )
    return listed


def listed_vaes(catalog: Catalog, caller: ApiKey) -> list[dict[str, str]]:
    """For `GET /sd-vae`: those that models bring along."""
    names = {
        _base(entry.vae_path)
        for entry in catalog.offered_models(nsfw=caller.nsfw)
        if entry.vae_path is not None
    }
    return [{"model_name": name, "filename": name} for name in sorted(names)]


def listed_loras(catalog: Catalog, known: Known, caller: ApiKey) -> list[dict[str, Any]]:
    """For `GET /loras`. `name` is what a tag in a prompt needs."""
    listed = []
    for entry in catalog.offered_adapters(nsfw=caller.nsfw):
        facts = catalog.facts(entry.key) or AdapterFacts()
        metadata = {"ss_output_name": facts.output_name}
        if weights := known.get(entry.key):
            metadata["sshs_model_hash"] = weights.short
        listed.append(
            {
                "name": entry.key,
                "alias": facts.output_name or entry.key,
                "path": _file(entry),
                "metadata": {name: text for name, text in metadata.items() if text},
            }
        )
    return listed


def listed_embeddings(catalog: Catalog, model: ModelEntry, caller: ApiKey) -> dict[str, Any]:
    """For `GET /embeddings`: those that fit `model`, and the others."""
    offered = catalog.embeddings.offered(nsfw=caller.nsfw)
    fitting = catalog.embeddings.offered(nsfw=caller.nsfw, model=model)
    return {
        "loaded": {entry.key: _embedding(entry, catalog) for entry in fitting},
        "skipped": {
            entry.key: _embedding(entry, catalog) for entry in offered if entry not in fitting
        },
    }


def listed_controlnets(catalog: Catalog, caller: ApiKey) -> list[str]:
    """For `GET /controlnet/model_list`: those for any model, as there, but without hashes."""
    keys = dict.fromkeys(
        entry.key
        for model in catalog.offered_models(nsfw=caller.nsfw)
        for entry in catalog.controlnets.offered(nsfw=caller.nsfw, model=model)
    )
    return [*keys]


def listed_types(catalog: Catalog, caller: ApiKey) -> dict[str, Any]:
    """For `GET /controlnet/control_types`: by the type's name there, what makes its map and what
    follows it."""
    keys, controlnets = listed_controlnets(catalog, caller), catalog.controlnets
    found = {"All": (list(OFFERED_MODULES), ["None", *keys])}
    for kind, name in TYPE_NAMES.items():
        models = [key for key in keys if kind in controlnets.types_of(key)]
        modules = [module for module in OFFERED_MODULES if MODULES[module].type in (None, kind)]
        found[name] = (modules, ["None", *models])
    return {
        name: {
            "module_list": modules,
            "model_list": models,
            "default_option": modules[:2][-1],
            "default_model": models[:2][-1],
        }
        for name, (modules, models) in found.items()
    }


def _embedding(entry: EmbeddingEntry, catalog: Catalog) -> dict[str, Any]:
    facts = catalog.embeddings.facts.get(entry.key)
    return {
        "step": None,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "shape": _WIDTHS[facts is None or len(facts.parts) > 1],
        "vectors": facts.vectors if facts else 0,
    }


def _file(entry: ModelEntry | AdapterEntry) -> str:
    """A file's name without folders, which would tell where the owner keeps it."""
    return _base(entry.weight_name or entry.path)


def _base(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/").removeprefix("builtin:")).name
