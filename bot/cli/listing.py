"""`main.py models`, `main.py loras` and `main.py embeddings`: the catalog as a table or as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from bot.cli.reading import read
from bot.settings import Settings
from catalog import (
    UNKNOWN,
    AdapterEntry,
    AdapterFacts,
    Catalog,
    EmbeddingEntry,
    EmbeddingFacts,
    ModelEntry,
    Problem,
    locate_entry,
    problems_of,
)
from catalog.dropin_embeddings import EMBEDDINGS
from catalog.dropins import CHECKPOINTS, LORAS

Listed = Literal["models", "loras", "embeddings"]
Entry = ModelEntry | AdapterEntry | EmbeddingEntry

_FOLDERS: Final = {"models": CHECKPOINTS, "loras": LORAS, "embeddings": EMBEDDINGS}


def listing(what: Listed, settings: Settings, *, as_json: bool) -> int:
    """Print the catalog's entries, broken ones too. Raises CatalogError if it cannot be read."""
    models_dir = settings.models_dir.absolute()
    catalog = read(settings)
    kinds_of: dict[str, Mapping[str, Entry]] = {
        "models": catalog.models,
        "loras": catalog.adapters,
        "embeddings": catalog.embeddings.entries,
    }
    rows = [_row(entry, models_dir, catalog) for entry in kinds_of[what].values()]
    no_facts = {"loras": _facts(None), "embeddings": _said(None)}.get(what, {})
    problems = [problem for problem in catalog.problems if _is_of(what, problem, models_dir)]
    rows += [
        _broken(problem.key, problem.reason) | no_facts
        for problem in problems
        if problem.key and problem.key not in {row["key"] for row in rows}
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    kinds = ["kind"] if no_facts else []
    table = [["key", "name", *kinds, "files", "description"]]
    for row in rows:
        marks = [] if row["enabled"] else ["disabled"]
        marks += ["default"] if row.get("default") else []
        files = "; ".join(row["problems"]) or row["files"]
        kinds = [_kind(row)] if no_facts else []
        files = ", ".join([files, *marks])
        table.append([row["key"], row["name"], *kinds, files, row["description"]])
    widths = [max(map(len, column)) for column in list(zip(*table, strict=True))[:-1]]
    for line in table:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        print("  ".join([*padded, line[-1]]).rstrip())
    for problem in problems:
        print(f"problem: {problem}")
    return 0


def _is_of(what: str, problem: Problem, models_dir: Path) -> bool:
    """Whether it is in the catalog file for `what`, or in a drop-in file of that kind."""
    file = Path(problem.file)
    return file.name == f"{what}.toml" or file.is_relative_to(models_dir / _FOLDERS[what])


def _row(entry: Entry, models_dir: Path, catalog: Catalog) -> dict[str, Any]:
    location = locate_entry(entry, models_dir)
    problems = list(problems_of(entry, models_dir))
    if isinstance(entry, AdapterEntry) and (why := catalog.misfit(entry.key)):
        problems.append(str(why))
    if isinstance(entry, EmbeddingEntry) and (why := catalog.embeddings.misfit(entry.key)):
        problems.append(str(why))
    if isinstance(entry, ModelEntry) and (unfit := catalog.unfit_models.get(entry.key)):
        problems.append(str(unfit))
    row = {
        **entry.model_dump(mode="json"),
        "available": location.available and not problems,
        "files": _FILES[location.kind],
        "problems": problems,
    }
    if isinstance(entry, ModelEntry):
        return {**row, "default": entry.key == catalog.default}
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


def _kind(row: dict[str, Any]) -> str:
    """What it is, in a few words: `LoRA 32, SDXL`, `4 vectors, SDXL`; empty when unknown."""
    if "vectors" in row:
        size = f"{row['vectors']} vectors" if row["vectors"] else None
        return ", ".join(filter(None, [size, row["base"]]))
    made = " ".join(str(row[name]) for name in ("family", "rank") if row.get(name))
    return ", ".join(filter(None, [made, row.get("base")]))


_FILES = {
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
