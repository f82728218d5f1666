"""Rows: every entry of the catalog as JSON types, with what its files say and what is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from catalog.abilities import abilities, as_json, sure_family
from catalog.dropin_controlnets import CONTROLNETS
from catalog.dropin_embeddings import EMBEDDINGS
from catalog.dropins import CHECKPOINTS, LORAS
from catalog.families import FAMILIES
from catalog.locate import Location
from catalog.presence import locate_entry
from catalog.problems import problems_of
from catalog.schema import AdapterEntry, ControlNetEntry, EmbeddingEntry, ModelEntry
from catalog.snapshot import Catalog, Problem
from catalog.weight_files import UNKNOWN, AdapterFacts, EmbeddingFacts

Listed: TypeAlias = Literal["models", "loras", "embeddings", "controlnets"]
Entry: TypeAlias = ModelEntry | AdapterEntry | EmbeddingEntry | ControlNetEntry

_FOLDERS: Final = {
    "models": CHECKPOINTS,
    "loras": LORAS,
    "embeddings": EMBEDDINGS,
    "controlnets": CONTROLNETS,
}

_OF_CONTROLNET: Final = ("type", "types", "kind", "family", "base")
_OF_FAMILY: Final = ("size", "min_side", "max_side", "max_pixels", "scheduler")
_OF_VARIANT: Final = ("steps", "guidance", "fast")
"""Fields of a model's entry whose defaults are those of its family or variant: null where nothing
says which that is."""


def rows(what: Listed, catalog: Catalog, models_dir: Path) -> list[dict[str, Any]]:
    """One for each entry, broken ones too."""
    kinds_of: dict[str, Mapping[str, Entry]] = {
        "models": catalog.models,
        "loras": catalog.adapters,
        "embeddings": catalog.embeddings.entries,
        "controlnets": catalog.controlnets.entries,
    }
    found = [_row(entry, models_dir, catalog) for entry in kinds_of[what].values()]
    no_facts = {
        "loras": _facts(None),
        "embeddings": _said(None),
        "controlnets": dict.fromkeys(_OF_CONTROLNET),
    }.get(what, {})
    keys = {row["key"] for row in found}
    return found + [
        _broken(problem.key, problem.reason) | no_facts
        for problem in problems(what, catalog, models_dir)
        if problem.key and problem.key not in keys
    ]


def problems(what: Listed, catalog: Catalog, models_dir: Path) -> list[Problem]:
    """What is wrong in the catalog file for `what`, and in drop-in files of that kind."""
    return [problem for problem in catalog.problems if _is_of(what, problem, models_dir)]


def _is_of(what: str, problem: Problem, models_dir: Path) -> bool:
    """Whether it is in the catalog file for `what`, or in a drop-in file of that kind."""
    file = Path(problem.file)
    return file.name == f"{what}.toml" or file.is_relative_to(models_dir / _FOLDERS[what])


def _row(entry: Entry, models_dir: Path, catalog: Catalog) -> dict[str, Any]:
    location = locate_entry(entry, models_dir, catalog.lacking)
    problems = list(problems_of(entry, models_dir, catalog.lacking))
    if isinstance(entry, AdapterEntry) and (why := catalog.misfit(entry.key)):
        problems.append(str(why))
    if isinstance(entry, EmbeddingEntry) and (why := catalog.embeddings.misfit(entry.key)):
        problems.append(str(why))
    if isinstance(entry, ControlNetEntry) and (reason := catalog.controlnets.unfit.get(entry.key)):
        problems.append(reason)
    unfit = catalog.unfit_models.get(entry.key) if isinstance(entry, ModelEntry) else None
    if unfit:
        problems.append(str(unfit))
    row = {
        **entry.model_dump(mode="json"),
        "available": location.available and not problems,
        "files": _FILES[location.kind],
        "problems": problems,
    }
    if isinstance(entry, ModelEntry):
        family = sure_family(entry, catalog, location)
        told = family and entry.told_variant
        said = {
            "family": family and family.key,
            "family_name": family and family.name,
            "family_licence": family and family.licence,
        }
        able = as_json(abilities(entry, catalog, nsfw=True) if family else None)
        unknown = (*(() if family else _OF_FAMILY), *(() if told else _OF_VARIANT))
        return {
            **row,
            **dict.fromkeys(unknown),
            **said,
            **able,
            "default": entry.key == catalog.default,
        }
    if isinstance(entry, ControlNetEntry):
        return {**row, **controlnet_facts(entry, catalog, location)}
    if isinstance(entry, EmbeddingEntry):
        return {**row, **_said(catalog.embeddings.facts.get(entry.key))}
    return {**row, **_facts(catalog.facts(entry.key))}


def _facts(facts: AdapterFacts | None) -> dict[str, Any]:
    """What a LoRA's file says; null where it says nothing or is not on this machine."""
    known = facts or AdapterFacts()
    return {
        "family": None if known.algorithm == UNKNOWN else known.algorithm,
        "base": known.base or None,
        "rank": known.rank,
        "conv_rank": known.conv_rank,
        "trigger_candidates": list(known.candidates),
        "recommended_weight": known.weight,
        "title": known.title or None,
    }


def _said(facts: EmbeddingFacts | None) -> dict[str, Any]:
    """What an embedding's file says; null where it says nothing or is not on this machine."""
    known = facts or EmbeddingFacts()
    return {
        "vectors": known.vectors or None,
        "base": known.base or None,
        "title": known.title or None,
    }


def controlnet_facts(entry: ControlNetEntry, catalog: Catalog, place: Location) -> dict[str, Any]:
    """What a ControlNet is; null where its file does not say it or is not on this machine."""
    controlnets = catalog.controlnets
    facts = controlnets.facts.get(entry.key)
    lost = place.kind in {"missing", "unreadable"} and not entry.family
    known = not lost and entry.key not in controlnets.unfit
    family = FAMILIES[controlnets.family_of(entry.key)] if known else None
    return {
        "type": controlnets.type_of(entry.key),
        "types": list(controlnets.types_of(entry.key)),
        "kind": facts.kind if facts else None,
        "family": family and family.key,
        "base": family and family.adapter_bases[0],
    }


_FILES: Final = {
    "folder": "present",
    "file": "present",
    "cached": "present",
    "download": "downloaded at first use",
    "missing": "missing",
    "unreadable": "unreadable",
}


def _broken(key: str, reason: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "description": "",
        "enabled": False,
        "available": False,
        "files": "left out",
        "problems": [reason],
    }
