"""Whatever one row does, the others stand, and the JSON says what happened."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.gpu import book
from benchmarks.gpu.row import DIED, DONE, FAILED, NO_TIME, OVERDUE, Row
from benchmarks.gpu.supervisor import Supervisor

HOW = {"raises": FAILED, "hangs": OVERDUE, "dies": DIED}


class Quick(Row):
    """A row whose deadline a test does not wait long for."""

    deadline = 1.5  # type: ignore[assignment]


def all_rows(monkeypatch: pytest.MonkeyPatch) -> tuple[Row, ...]:
    """The real ones, with two candidates."""
    stub: Any = ModuleType("benchmarks.gpu.candidates")
    stub.CANDIDATES = tuple(
        SimpleNamespace(name=name, same_bits=True, needs_cuda=True, own_process=own)
        for name, own in (("a candidate", False), ("a risky candidate", True))
    )
    monkeypatch.setitem(sys.modules, "benchmarks.gpu.candidates", stub)
    from benchmarks.gpu import rows

    return rows.all_rows()


def supervised(
    rows: Sequence[Row], how: str, bad: str, tmp_path: Path, **options: Any
) -> dict[str, Any]:
    """The JSON after a run of stubs named like `rows`."""
    quick = [Quick(row.name, row.measure, 0, own_process=row.own_process) for row in rows]
    found = Supervisor(
        quick,
        lambda names: [sys.executable, "-m", "tests.benchmarks.gpu_stub", how, bad, *names],
        lambda so_far: book.write_json(tmp_path, so_far.facts, quick, so_far.outcomes),
        **{"budget": 120.0, **options},
    )
    found.run()
    written: dict[str, Any] = json.loads((tmp_path / book.JSON).read_text(encoding="utf-8"))
    return written


def names() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        yield from (row.name for row in all_rows(patch))


@pytest.mark.parametrize("bad", list(names()))
def test_every_row_may_go_wrong_in_every_way(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = all_rows(monkeypatch)
    # Those next to it are enough to see what it does to others.
    at = [row.name for row in rows].index(bad)
    near = rows[max(0, at - 1) : at + 2]
    for how, state in HOW.items():
        written = supervised(near, how, bad, tmp_path)
        states = {name: row["state"] for name, row in written["rows"].items()}
        assert states == {row.name: state if row.name == bad else DONE for row in near}
        for name, row in written["rows"].items():
            assert [figure["value"] for figure in row["figures"]] == ["1"], name
            assert bool(row["said"]) == (name == bad)


def test_all_rows_stand_when_one_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = all_rows(monkeypatch)
    written = supervised(rows, "dies", "stages", tmp_path)
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


def test_without_time_rows_are_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = all_rows(monkeypatch)
    written = supervised(rows, "well", "", tmp_path, budget=0.0)
    assert {row["state"] for row in written["rows"].values()} == {NO_TIME}


def test_a_call_is_planned_for_eight_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    all_rows(monkeypatch)
    monkeypatch.delitem(sys.modules, "benchmarks.gpu.candidates")
    from benchmarks.gpu import rows

    try:
        everything = rows.all_rows()
    except ModuleNotFoundError:
        everything = all_rows(monkeypatch)
    assert rows.planned(rows.chosen(everything, compiled=False)) <= 480
    compiling = rows.chosen(everything, compiled=True)
    assert "compiled" in {row.name for row in compiling}


def test_the_table_shows_what_went_wrong(tmp_path: Path) -> None:
    rows = [Row("bad", lambda _: [], 0), Row("to come", lambda _: [], 0)]
    from benchmarks.gpu.row import Outcome

    wrong = {"what": "bytes", "value": "no", "note": "a|b", "numbers": {}, "wrong": True}
    outcomes = {"bad": replace(Outcome(FAILED, said="why"), figures=[wrong])}
    text = book.table({"card": "none"}, rows, outcomes)
    assert "| bad | bytes | **wrong** no | a\\|b |" in text
    assert "| bad | – | **failed** | why |" in text
    assert "| to come | – | **pending** |  |" in text
