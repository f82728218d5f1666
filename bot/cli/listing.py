"""`main.py models`, `main.py loras` and `main.py embeddings`: the catalog as a table or as JSON."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.cli.reading import read
from bot.cli.result import NotDone, printable
from bot.settings import Settings
from catalog.abilities import surely
from catalog.listing import Listed, problems, rows

if TYPE_CHECKING:
    from bot.cli.remote import RemoteServer


def listing(what: Listed, settings: Settings, *, as_json: bool) -> int:
    """Print the catalog's entries, broken ones too. Raises CatalogError if it cannot be read."""
    models_dir = settings.models_dir.absolute()
    catalog = read(settings)
    found = problems(what, catalog, models_dir)
    _show(what, rows(what, catalog, models_dir), list(map(str, found)), as_json=as_json)
    return 0


async def remote_listing(what: Listed, server: "RemoteServer", *, as_json: bool) -> int:
    """Print a server's entries as `listing` does; returns the exit code."""
    try:
        listed = await server.catalog(what)
    except NotDone as error:
        print(printable(error), file=sys.stderr)
        return error.code
    finally:
        await server.close()
    _show(what, listed["entries"], listed["problems"], as_json=as_json)
    return 0


def _show(
    what: Listed, listed: Sequence[dict[str, Any]], problems: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        print(json.dumps(listed, ensure_ascii=False, indent=2))
        return
    about = ["family", "speed", "takes", "LoRAs"] if what == "models" else ["kind"]
    table = [["key", "name", *about, "files", "description"]]
    for row in listed:
        marks = [] if row["enabled"] else ["disabled"]
        marks += ["default"] if row.get("default") else []
        files = "; ".join(row["problems"]) or row["files"]
        files = ", ".join([files, *marks])
        said = _abilities(row) if what == "models" else [_kind(row)]
        table.append([row["key"], row["name"], *said, files, row["description"]])
    table = [[printable(cell) for cell in line] for line in table]
    widths = [max(map(len, column)) for column in list(zip(*table, strict=True))[:-1]]
    for line in table:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        print("  ".join([*padded, line[-1]]).rstrip())
    for problem in problems:
        print(printable(f"problem: {problem}"))


def _abilities(row: dict[str, Any]) -> list[str]:
    """Of a model: its family and variant, how fast it is, what only some take and it does, and for
    which base models its LoRAs are; empty when unknown."""
    if not row.get("takes"):
        return [row.get("family_name") or "", "", "", ""]
    taken = [name for name, takes in row["takes"].items() if takes]
    taken += [f"{row['edits']} images to edit"] if row["edits"] else []
    family = row["family_name"] + (f" ({row['variant']})" if row["variant"] else "")
    return [family, row["speed"], ", ".join(taken), ", ".join(surely(row["bases"]))]


def _kind(row: dict[str, Any]) -> str:
    """What it is, in a few words: `LoRA 32, SDXL`, `4 vectors, SDXL`; empty when unknown."""
    if "vectors" in row:
        size = f"{row['vectors']} vectors" if row["vectors"] else None
        return ", ".join(filter(None, [size, row["base"]]))
    made = " ".join(str(row[name]) for name in ("family", "rank") if row.get(name))
    return ", ".join(filter(None, [made, row.get("base")]))
