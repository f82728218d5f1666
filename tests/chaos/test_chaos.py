"""The short form: a light engine, a few dozen jobs. `make chaos` is the long form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from playground import Playground
from tests.chaos.harness import Chaos, ChaosHome, LightBot
from tests.chaos.plans import Plan, Tally
from tests.conftest import TALLY, pytest_terminal_summary


async def play(plan: Plan, folder: Path) -> Tally:
    home = ChaosHome(folder / "home", folder / "models")
    settings = {"CHAOS_FORGETS_NONCES": "yes"} if plan.forgetful else {}
    async with Playground() as playground:
        bot = LightBot(home, playground, **settings)
        try:
            tally = await Chaos(plan, playground, bot).run()
        finally:
            await bot.__aexit__()
    return tally


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=1, jobs=15, kills=3),
        pytest.param(Plan(seed=1, jobs=30, kills=6), marks=pytest.mark.long),
        pytest.param(Plan(seed=2, jobs=20, kills=4, storm=0.1), marks=pytest.mark.long),
        pytest.param(
            Plan(seed=3, jobs=15, kills=3, storm=0.15, forgetful=True), marks=pytest.mark.long
        ),
    ],
    ids=["kills", "more kills", "kills in a storm", "kills in a storm after a long absence"],
)
async def test_every_job_is_delivered_once(
    plan: Plan, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tally = await play(plan, tmp_path)
    record_property(TALLY, str(tally))
    assert tally.violations == []
    assert (tally.delivered, tally.lost, tally.doubled) == (tally.stored, [], [])
    assert tally.unstored == 0
    assert tally.stored >= plan.jobs


class Terminal:
    """The file for the summary."""

    def __init__(self, *reports: pytest.TestReport) -> None:
        self.stats = {"passed": list(reports)}
        self.lines: list[str] = []

    def section(self, title: str) -> None:
        self.lines.append(title)

    def write_line(self, line: str) -> None:
        self.lines.append(line)


def test_what_was_counted_is_shown_when_all_is_well() -> None:
    tally = str(Tally(stored=30, delivered=30))
    place = ("test_chaos.py", 1, "test_every")
    report = pytest.TestReport(
        "test_chaos.py::test_every[kills]",
        place,
        {},
        "passed",
        None,
        "call",
        user_properties=[(TALLY, tally)],
    )
    terminal = Terminal(report)
    pytest_terminal_summary(cast("Any", terminal))
    assert terminal.lines == ["chaos", f"test_every[kills]: {tally}"]
    assert "30 delivered, 0 lost, 0 doubled" in terminal.lines[1]
