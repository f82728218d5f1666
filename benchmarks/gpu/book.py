"""The JSON and the Markdown of one run. Does not import torch."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.gpu.row import DONE, Outcome, Row

NAME: Final = "gpu"
"""Of the files, unless another is given."""
PENDING: Final = "pending"


def write(
    folder: Path,
    facts: Mapping[str, Any],
    rows: Sequence[Row],
    outcomes: Mapping[str, Outcome],
    name: str = NAME,
) -> str:
    """Replace `name`.json and `name`.md by all rows, those to come too; returns the table."""
    found = {
        row.name: asdict(outcomes.get(row.name, Outcome(PENDING)))
        | {"planned": row.planned, "deadline": row.deadline}
        for row in rows
    }
    _replace(folder / f"{name}.json", json.dumps({"facts": dict(facts), "rows": found}, indent=1))
    text = table(facts, rows, outcomes)
    _replace(folder / f"{name}.md", text)
    return text


def table(facts: Mapping[str, Any], rows: Sequence[Row], outcomes: Mapping[str, Outcome]) -> str:
    """All figures in Markdown, under the facts about the machine."""
    lines = [f"- {name}: {value}" for name, value in facts.items() if value not in (None, "")]
    lines += ["", "| row | what | value | note |", "|---|---|---|---|"]
    for row in rows:
        outcome = outcomes.get(row.name, Outcome(PENDING))
        for figure in outcome.figures:
            wrong = "**wrong** " if figure["wrong"] else ""
            cells = (row.name, figure["what"], wrong + figure["value"], figure["note"])
            lines.append(_cells(*cells))
        if outcome.state != DONE:
            lines.append(_cells(row.name, "–", f"**{outcome.state}**", outcome.said))
    return "\n".join(lines) + "\n"


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _replace(file: Path, text: str) -> None:
    """Write `file` so that a reader finds the old text or the new one, never a part."""
    draft = file.with_name(f"{file.name}.draft")
    with draft.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
