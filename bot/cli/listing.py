"""`main.py models` and `main.py loras`: the catalog as a table or as JSON."""

import json
from pathlib import Path
from typing import Any, Literal

from bot.settings import Settings
from catalog import AdapterEntry, ModelEntry, locate_entry, problems_of, read_catalog


def listing(what: Literal["models", "loras"], settings: Settings, *, as_json: bool) -> int:
    """Print the catalog's entries, broken ones too; raises CatalogError when it cannot be read."""
    models_dir = settings.models_dir.absolute()
    catalog = read_catalog(settings.catalog_dir.absolute(), models_dir)
    entries: list[ModelEntry | AdapterEntry]
    entries = [*(catalog.models if what == "models" else catalog.adapters).values()]
    rows = [_row(entry, models_dir, entry.key == catalog.default) for entry in entries]
    rows += [
        _broken(problem.key, problem.reason)
        for problem in catalog.problems
        if Path(problem.file).name.startswith(what)
        and problem.key
        and problem.key not in {row["key"] for row in rows}
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    table = [("key", "name", "files", "what it is for")]
    for row in rows:
        marks = [] if row["enabled"] else ["disabled"]
        marks += ["default"] if row.get("default") else []
        files = "; ".join(row["problems"]) or row["files"]
        table.append((row["key"], row["name"], ", ".join([files, *marks]), row["description"]))
    widths = [max(len(line[column]) for line in table) for column in range(3)]
    for line in table:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        print("  ".join([*padded, line[3]]).rstrip())
    for problem in catalog.problems:
        print(f"problem: {problem}")
    return 0


def _row(entry: ModelEntry | AdapterEntry, models_dir: Path, default: bool) -> dict[str, Any]:
    location = locate_entry(entry, models_dir)
    problems = problems_of(entry, models_dir)
    row = {
        **entry.model_dump(mode="json"),
        "available": location.available and not problems,
        "files": _FILES[location.kind],
        "problems": list(problems),
    }
    return {**row, "default": default} if isinstance(entry, ModelEntry) else row


_FILES = {
    "builtin": "built in",
    "folder": "present",
    "file": "present",
    "cached": "present",
    "download": "downloaded at first use",
    "missing": "missing",
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
