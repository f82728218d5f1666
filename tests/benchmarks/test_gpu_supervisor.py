"""Whatever one row does, the others stand, and the JSON says what happened."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import book, card
from benchmarks.gpu.__main__ import BUDGET, COMPILING
from benchmarks.gpu.candidates import CANDIDATES
from benchmarks.gpu.decoding import WAYS
from benchmarks.gpu.row import (
    CUT,
    DIED,
    DONE,
    FAILED,
    NO_TIME,
    OVERDUE,
    RUNNING,
    STOPPED,
    Lazy,
    Outcome,
    Row,
)
from benchmarks.gpu.rows import ROWS, chosen, planned
from benchmarks.gpu.supervisor import Supervisor

pytestmark = pytest.mark.long


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
            row.name, row.measure, 0, process=row.process
        )
        for row in rows
    ]
    found = Supervisor(
        stubs,
        lambda names: [sys.executable, "-m", "tests.benchmarks.gpu_stub", how, *bad, "--", *names],
        lambda so_far: book.write(tmp_path, so_far.facts, stubs, so_far.outcomes),
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
    rows = [Row(name, lambda _: [], 0, process=name) for name in "ab"]
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


def test_the_results_are_rewritten_after_every_figure(tmp_path: Path) -> None:
    rows = [Row(name, lambda _: [], 0, process="own" * (name == "c")) for name in "abc"]
    kept: list[list[tuple[str, int]]] = []

    def changed(so_far: Supervisor) -> None:
        book.write(tmp_path, so_far.facts, rows, so_far.outcomes)
        written = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["rows"]
        kept.append([(row["state"], len(row["figures"])) for row in written.values()])
        text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
        assert text == book.table(so_far.facts, rows, so_far.outcomes)

    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "raises", "b", "--"]
    Supervisor(rows, lambda names: [*command, *names], changed, budget=60.0).run()
    to_come, begun, measured = (book.PENDING, 0), (RUNNING, 0), (RUNNING, 1)
    done, failed = (DONE, 1), (FAILED, 1)
    assert kept == [
        *([each, to_come, to_come] for each in (begun, measured, done)),
        *([done, each, to_come] for each in (begun, measured, failed)),
        *([done, failed, each] for each in (begun, measured, done)),
    ]


@pytest.mark.parametrize(
    ("processes", "expected"),
    [("xxx", ["abc"]), ("xyy", ["a", "bc"]), ("xyx", ["a", "b", "c"])],
)
def test_rows_run_in_their_order_in_as_few_processes_as_may_be(
    processes: str, expected: list[str]
) -> None:
    rows = [
        Row(name, lambda _: [], 0, process=process)
        for name, process in zip("abc", processes, strict=True)
    ]
    begun: list[str] = []

    def command(names: Sequence[str]) -> list[str]:
        begun.append("".join(names))
        return [sys.executable, "-m", "tests.benchmarks.gpu_stub", "well", "--", *names]

    found = Supervisor(rows, command, lambda _: None, budget=60.0)
    found.run()
    assert begun == expected
    assert [*found.outcomes] == [*"abc"]


def test_the_card_is_read_when_a_row_has_ended() -> None:
    rows = [Row(name, lambda _: [], 0) for name in "ab"]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "dies", "b", "--"]
    read: list[list[str]] = []

    def hot() -> dict[str, str]:
        read.append([outcome.state for outcome in found.outcomes.values()])
        return {"temperature": "80"}

    found = Supervisor(
        rows, lambda names: [*command, *names], lambda _: None, budget=60.0, card=hot
    )
    found.run()
    assert [outcome.card for outcome in found.outcomes.values()] == [{"temperature": "80"}] * 2
    assert len(read) == 2


def test_a_row_that_the_budget_cuts_is_not_called_late() -> None:
    rows = [Row(name, lambda _: [], 100) for name in "ab"]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "hangs", "a", "--"]
    found = Supervisor(rows, lambda names: [*command, *names], lambda _: None, budget=3.0)
    found.run()
    states = {name: outcome.state for name, outcome in found.outcomes.items()}
    assert states == {"a": CUT, "b": NO_TIME}
    assert len(found.outcomes["a"].figures) == 1


def test_a_stopped_run_has_no_running_row() -> None:
    rows = [Row(name, lambda _: [], 100) for name in "ab"]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "hangs", "a", "--"]

    def stop(so_far: Supervisor) -> None:
        if so_far.outcomes["a"].figures:
            raise KeyboardInterrupt

    found = Supervisor(rows, lambda names: [*command, *names], stop, budget=60.0)
    with pytest.raises(KeyboardInterrupt):
        found.run()
    assert {name: outcome.state for name, outcome in found.outcomes.items()} == {"a": STOPPED}


SUPERVISING = """
import sys
from benchmarks.gpu.row import Row
from benchmarks.gpu.supervisor import Supervisor
command = [sys.executable, "-m", "tests.benchmarks.gpu_stub", "hangs", "a", "--", "a"]
rows = [Row("a", lambda _: [], 100)]
Supervisor(rows, lambda _: command, lambda so_far: print("changed", flush=True), budget=60.0).run()
"""


def test_a_worker_does_not_outlive_its_supervisor() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISING], stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == "changed\n"
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
        if not children.is_file():
            pytest.skip("needs Linux")
        (worker,) = map(int, children.read_text(encoding="ascii").split())
        supervisor.kill()
    for _ in range(300):
        if not alive(worker):
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker went on")


def alive(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_what_lists_the_rows_imports_no_torch() -> None:
    """It would take the card's memory and its seconds from those that measure."""
    for call in ("gpu", "gpu.families"):
        code = (
            f"import sys, benchmarks.{call}.__main__; print([*{{'torch', 'diffusers'}}"
            " & sys.modules.keys()])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout == "[]\n"


def test_every_row_is_measured_by_something() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert isinstance(row.measure, Lazy)
        assert callable(row.measure.function)


def test_the_commit_may_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "_said", lambda *_: "")
    assert card.describe()["commit"] == "unknown"
    monkeypatch.setenv("GIT_COMMIT", "abc")
    assert card.describe()["commit"] == "abc"
    assert card.now() == {}
    monkeypatch.setattr(card, "_said", lambda *_: "1980 MHz, 2619 MHz, 41, 300 W\nanother")
    assert card.now() == {
        "graphics clock": "1980 MHz",
        "memory clock": "2619 MHz",
        "temperature": "41",
        "power": "300 W",
    }


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


def test_without_time_rows_are_not_begun(tmp_path: Path) -> None:
    written = supervised(ROWS, "well", [], tmp_path, budget=0.0)
    assert {row["state"] for row in written["rows"].values()} == {NO_TIME}


def test_a_call_is_planned_for_its_budget() -> None:
    """With all candidates, those for the VAE in its row."""
    measured = {row.name for row in ROWS} | {"vae-tf32", "vae-bf16", "vae-scaled-fp16"}
    assert {candidate.name for candidate in CANDIDATES} <= measured
    assert {way for _, way in WAYS.values() if way} == {
        candidate.apply for candidate in CANDIDATES if candidate.name.startswith("vae-")
    }
    assert planned(chosen(compiled=False)) <= BUDGET == 480
    compiling = chosen(compiled=True)
    assert {row.name for row in compiling} == {"compiled", "compiled-graph"}
    assert planned(compiling) <= COMPILING == 540


def test_the_table_shows_what_went_wrong(tmp_path: Path) -> None:
    rows = [Row("bad", lambda _: [], 0), Row("to come", lambda _: [], 0)]
    wrong = {"what": "bytes", "value": "no", "note": "a|b", "numbers": {}, "wrong": True}
    outcomes = {"bad": replace(Outcome(FAILED, said="why"), figures=[wrong])}
    text = book.table({"card": "none"}, rows, outcomes)
    assert "| bad | bytes | **wrong** no | a\\|b |" in text
    assert "| bad | – | **failed** | why |" in text
    assert "| to come | – | **pending** |  |" in text
