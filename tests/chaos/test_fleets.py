"""Engine processes, workers and their broker are killed, and the bot; `make chaos` is longer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.fleets import LANES, WAYS, full
from tests.chaos.plans import Plan, Tally
from tests.conftest import TALLY

SHORT = {
    "processes": Plan(seed=7, jobs=12, kills=3, steps=20, working=1.0),
    "workers": Plan(seed=7, jobs=12, kills=4, steps=20, working=1.0, away=(0.0, 0.2)),
}


def check(tally: Tally, plan: Plan, tell: Callable[[str, object], None]) -> None:
    tell(TALLY, str(tally))
    assert tally.violations == []
    assert (tally.delivered, tally.lost, tally.doubled) == (tally.stored, [], [])
    assert tally.unstored == 0
    assert tally.stored >= plan.jobs
    assert tally.compared


@pytest.mark.parametrize("way", WAYS)
async def test_every_job_is_delivered_once(
    way: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = SHORT[way]
    check(await WAYS[way](plan, 2, tmp_path), plan, record_property)


@pytest.mark.long
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("way", WAYS)
async def test_many_jobs_and_many_kills(
    way: str, lanes: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = full()
    check(await WAYS[way](plan, lanes, tmp_path), plan, record_property)
