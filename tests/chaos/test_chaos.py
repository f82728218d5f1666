"""The short form: a light engine, a few dozen jobs. `make chaos` is the long one."""

from pathlib import Path

import pytest

from playground import Playground
from tests.chaos.harness import Chaos, ChaosHome, LightBot, Plan, Tally


async def play(plan: Plan, folder: Path) -> Tally:
    home = ChaosHome(folder / "home", folder / "models")
    settings = {"CHAOS_FORGETS_NONCES": "yes"} if plan.forgetful else {}
    async with Playground() as playground:
        bot = LightBot(home, playground, **settings)
        try:
            tally = await Chaos(plan, playground, bot).run()
        finally:
            await bot.__aexit__()
    print(tally)  # noqa: T201
    return tally


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=1, jobs=30, kills=6),
        Plan(seed=2, jobs=20, kills=4, storm=0.1),
        Plan(seed=3, jobs=15, kills=3, storm=0.15, forgetful=True),
    ],
    ids=["kills", "kills in a storm", "kills in a storm after a long absence"],
)
async def test_every_job_is_delivered_once(plan: Plan, tmp_path: Path) -> None:
    tally = await play(plan, tmp_path)
    assert tally.violations == []
    assert (tally.delivered, tally.lost, tally.doubled) == (tally.stored, [], [])
    assert tally.unstored == 0
    assert tally.stored >= plan.jobs
