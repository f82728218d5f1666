"""`main.py models`, `loras`, `embeddings` and `controlnets`: the catalog as a table or as JSON."""

import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from bot.cli.reading import read
from bot.cli.result import NotDone, printable
from bot.settings import Settings
from catalog.abilities import surely
from catalog.listing import Listed, problems, rows

if TYPE_CHECKING:
    from bot.cli.remote import RemoteServer

_GAP: Final = "  "
_INDENT: Final = "  "
_NARROWEST: Final = 20
"""Characters in a line, where a terminal says that it has fewer, or none."""


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
    table = [[printable(cell).replace("\n", " ") for cell in line] for line in table]
    # Where it is piped, each entry is one line, however long.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _lines(table, width) if listed else [f"no {what} in the catalog"]:
        print(line)
    for problem in problems:
        print(printable(f"problem: {problem}"))


def _lines(table: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """`table`, whose first row has the heads, in columns; the last ones below each row, with their
    heads, where they would make it wider than `width`, in characters. None: all in columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    columns = len(widths)
    while columns > 1 and width is not None and _row(widths, columns) > width:
        columns -= 1
    heads = table[0]
    for row in table:
        cells = zip(row[:columns], widths[:columns], strict=True)
        yield _GAP.join(cell.ljust(wide) for cell, wide in cells).rstrip()
        for head, cell in zip(heads[columns:], row[columns:], strict=True):
            if row is not heads and cell:
                yield from _below(f"{head}: {cell}", width or 0)


def _row(widths: Sequence[int], columns: int) -> int:
    """How wide a row of the first `columns` is."""
    return sum(widths[:columns]) + len(_GAP) * (columns - 1)


def _below(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, _NARROWEST),
        initial_indent=_INDENT,
        subsequent_indent=_INDENT * 2,
        break_long_words=False,
        break_on_hyphens=False,
    )


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
    """What it is, in a few words: `LoRA 32, SDXL`, `4 vectors, SDXL`, `canny, controlnet, SDXL`,
    `canny or 9 others, union, SDXL`; empty when unknown."""
    if "types" in row:
        others = len(row["types"] or ()) - 1
        follows = f"{row['type']} or {others} others" if others > 0 else row["type"]
        return ", ".join(filter(None, [follows, row["kind"], row["base"]]))
    if "vectors" in row:
        size = f"{row['vectors']} vectors" if row["vectors"] else None
        return ", ".join(filter(None, [size, row["base"]]))
    made = " ".join(str(row[name]) for name in ("family", "rank") if row.get(name))
    return ", ".join(filter(None, [made, row.get("base")]))
