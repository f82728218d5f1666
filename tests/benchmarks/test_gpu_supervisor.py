"""Whatever one row does, the others stand, and the JSON says what happened."""

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import book
from benchmarks.gpu.__main__ import COMPILING as COMPILING_BUDGET
from benchmarks.gpu.candidates import CANDIDATES
from benchmarks.gpu.row import DIED, DONE, FAILED, NO_TIME, OVERDUE, Outcome, Row
from benchmarks.gpu.rows import all_rows, chosen, planned
from benchmarks.gpu.supervisor import Supervisor

pytestmark = pytest.mark.long


ROWS = all_rows()
HOW = {"raises": FAILED, "hangs": OVERDUE, "dies": DIED}


class Brief(Row):
    """A row that hangs, whose deadline a test does not wait long for."""

    @property
    def deadline(self) -> float:
        return 0.2


def supervised(
    rows: Sequence[Row], how: str, bad: Collection[str], tmp_path: Path, **options: Any
) -> dict[str, Any]:
    """The JSON after a run of stubs named like `rows`, those of `bad` going wrong."""
    stubs = [
        (Brief if how == "hangs" and row.name in bad else Row)(
            row.name, row.measure, 0, own_process=row.own_process
        )
        for row in rows
    ]
    found = Supervisor(
        stubs,
        lambda names: [sys.executable, "-m", "tests.benchmarks.gpu_stub", how, *bad, "--", *names],
        lambda so_far: book.write_json(tmp_path, so_far.facts, stubs, so_far.outcomes),
        **{"budget": 120.0, **options},
    )
    found.run()
    written: dict[str, Any] = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    return written


@pytest.mark.long
@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("how", HOW)
def test_every_row_may_go_wrong_in_every_way(how: str, others: int, tmp_path: Path) -> None:
    """Every other row at once, so that those next to it show what it does to them."""
    bad = [row.name for row in ROWS[others::2]]
    written = supervised(ROWS, how, bad, tmp_path)["rows"]
    expected = {row.name: HOW[how] if row.name in bad else DONE for row in ROWS}
    assert {name: row["state"] for name, row in written.items()} == expected
    for name, row in written.items():
        assert [figure["value"] for figure in row["figures"]] == ["1"], name
        assert bool(row["said"]) == (name in bad)


def test_all_rows_stand_when_one_dies(tmp_path: Path) -> None:
    written = supervised(ROWS, "dies", ["stages"], tmp_path)
    bad = {name for name, row in written["rows"].items() if row["state"] != DONE}
    assert bad == {"stages"}
    assert written["facts"] == {"model": "none"}


def test_a_process_that_never_starts_fails_its_rows(tmp_path: Path) -> None:
    rows = [Row(name, lambda _: [], 0, own_process=name == "b") for name in "ab"]
    states: list[int] = []
    found = Supervisor(
        rows,
        lambda _: [sys.executable, "-c", "raise SystemExit(3)"],
        lambda so_far: states.append(len(so_far.outcomes)),
        budget=60.0,
    )
    found.run()
    assert {row: outcome.state for row, outcome in found.outcomes.items()} == dict.fromkeys(
        "ab", FAILED
    )
    assert all("exit code 3" in outcome.said for outcome in found.outcomes.values())


def test_the_results_are_rewritten_after_every_row(tmp_path: Path) -> None:
    rows = [Row(name, lambda _: [], 0, own_process=name == "c") for name in "abc"]
    kept: list[list[str]] = []

    def changed(so_far: Supervisor) -> None:
        book.write_json(tmp_path, so_far.facts, rows, so_far.outcomes)
        written = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["rows"]
        kept.append([row["state"] for row in written.values()])

    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "raises", "b", "--"]
    Supervisor(rows, lambda names: [*command, *names], changed, budget=60.0).run()
    assert kept == [
        [DONE, book.PENDING, book.PENDING],
        [DONE, FAILED, book.PENDING],
        [DONE, FAILED, DONE],
    ]


def test_patience_multiplies_the_deadlines() -> None:
    """Otherwise the first row takes all the time."""
    rows = [Row(name, lambda _: [], 0) for name in ("hanging", "fine")]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "hangs", "hanging", "--"]
    found = Supervisor(
        rows,
        lambda names: [*command, *names],
        lambda _: None,
        budget=15.0,
        patience=0.5 / rows[0].deadline,
    )
    found.run()
    states = {name: outcome.state for name, outcome in found.outcomes.items()}
    assert states == {"hanging": OVERDUE, "fine": DONE}


@pytest.mark.long
def test_rows_of_their_own_process_keep_their_time() -> None:
    """Half of all at most, however long the shared ones take."""
    rows = [Row("slow", lambda _: [], 0), Row("own", lambda _: [], 30, own_process=True)]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "hangs", "slow", "--"]
    found = Supervisor(rows, lambda names: [*command, *names], lambda _: None, budget=6.0)
    found.run()
    states = {name: outcome.state for name, outcome in found.outcomes.items()}
    assert states == {"slow": OVERDUE, "own": DONE}


def test_without_time_rows_are_not_begun(tmp_path: Path) -> None:
    written = supervised(ROWS, "well", [], tmp_path, budget=0.0)
    assert {row["state"] for row in written["rows"].values()} == {NO_TIME}


def test_a_call_is_planned_for_eight_minutes() -> None:
    """And one that compiles for less than its budget; with all candidates."""
    assert {candidate.name for candidate in CANDIDATES} <= {row.name for row in ROWS}
    assert planned(chosen(ROWS, compiled=False)) <= 480
    compiling = chosen(ROWS, compiled=True)
    assert {row.name for row in compiling} == {"compiled", "compiled-graph"}
    assert planned(compiling) <= COMPILING_BUDGET


def test_the_table_shows_what_went_wrong(tmp_path: Path) -> None:
    rows = [Row("bad", lambda _: [], 0), Row("to come", lambda _: [], 0)]
    wrong = {"what": "bytes", "value": "no", "note": "a|b", "numbers": {}, "wrong": True}
    outcomes = {"bad": replace(Outcome(FAILED, said="why"), figures=[wrong])}
    text = book.table({"card": "none"}, rows, outcomes)
    assert "| bad | bytes | **wrong** no | a\\|b |" in text
    assert "| bad | – | **failed** | why |" in text
    assert "| to come | – | **pending** |  |" in text
