"""Engine processes, workers and their broker are killed, and the bot; `make chaos` is longer."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from playground import Playground, User
from tests.chaos.fleets import LANES, WAYS, full
from tests.chaos.harness import ChaosHome, LightBot, until
from tests.chaos.plans import Plan, Tally
from tests.chaos.victims import Engine, engines_of
from tests.conftest import TALLY
from tests.distributed.server import free_port
from tests.parameters import mostly_long

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


@pytest.mark.parametrize("way", mostly_long(["workers", "processes"], usual=0))
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


@pytest.mark.long
async def test_a_bot_that_is_told_to_stop_while_an_engine_starts_keeps_its_job(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    async with LightBot(home, playground, IMAGEN_ENGINE="process") as bot:
        call = await ada.slash("imagine", prompt="x", steps=60)
        await call.wait(lambda m: "Step" in m.text)
        assert Engine("gpu", bot).kill()
        await until(lambda: home.states() != ["running"])
        engines = [pid for pid, _ in engines_of(bot.pid)]
        assert await bot.end(signal.SIGTERM) == 0
        await until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in engines))
        assert home.states() == ["pending"]
        await bot.start()
        await call.wait(lambda m: bool(m.attachments))


async def test_a_broker_that_is_away_holds_up_nobody(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    broker = f"redis://:secret@127.0.0.1:{free_port()}/0"
    async with LightBot(home, playground, IMAGEN_BROKER=broker) as bot:
        call = await ada.slash("imagine", prompt="x")
        await call.wait(lambda m: bool(m.attachments))
        assert await bot.end(signal.SIGTERM) == 0
        assert "cannot be used" in bot.log
        assert "secret" not in bot.log
