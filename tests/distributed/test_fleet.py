"""The bot's queue and store with workers in processes of their own, which are killed: every job is
delivered once, none is lost, none is doubled."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from bot.backoff import Backoff
from bot.distributed.broker import Broker
from bot.distributed.elsewhere import QueueLanes
from bot.distributed.pace import Pace
from bot.distributed.roster import Roster
from bot.queue import Lane
from bot.store import JobState as S
from tests.conftest import TALLY
from tests.distributed.bench import PACE
from tests.distributed.processes import Program, worker_process
from tests.distributed.server import Server
from tests.language import TEXTS
from tests.store.factories import new_job, request
from tests.worker.fleet import Lanes, lanes_of

BRIEF = Pace(beat=0.2, silence=1.5, refresh=0.05, kept=60.0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.worker.engine_thread.AGAIN", Backoff(0, 0.5))


@asynccontextmanager
async def bot_of(
    server: Server, folder: Path, *own: Lane, pace: Pace = BRIEF
) -> AsyncIterator[Lanes]:
    """own: lanes of the bot's machine."""
    async with lanes_of(folder, own) as lanes:
        roster = Roster(Broker.at(server.url), QueueLanes(lanes.queue, lanes.workers), TEXTS, pace)
        task = asyncio.create_task(roster.run())
        try:
            yield lanes
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(happened: Callable[[], object], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.mark.long
async def test_a_job_of_a_killed_worker_goes_on_elsewhere(
    server: Server, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with (
        worker_process(server.url, name="one", pace=BRIEF) as one,
        worker_process(server.url, name="two", pace=BRIEF) as two,
        bot_of(server, tmp_path) as bot,
    ):
        await until(lambda: len(bot.queue.lanes) == 2)
        job_id = await bot.take(new_job(request=request(steps=60)))
        await until(lambda: any(f"{job_id}:1 3" in line for line in (*one.lines, *two.lines)))
        first, other = (one, two) if one.lines else (two, one)
        begin = time.monotonic()
        first.send(signal.SIGKILL)
        await other.said(f"{job_id}:2 1")
        took = time.monotonic() - begin
        job = await bot.ended(job_id)
        await until(lambda: len(bot.queue.lanes) == 1)
    record_property(
        TALLY, f"begun elsewhere {took:.1f} s after the kill, of {BRIEF.silence} silent"
    )
    assert (job.state, job.attempt, job.own_crashes) == (S.DONE, 2, 0)
    assert len(bot.watcher.finished_jobs) == 1


@pytest.mark.long
async def test_cancelling_reaches_the_worker(server: Server, tmp_path: Path) -> None:
    async with (
        worker_process(server.url, pace=PACE) as one,
        bot_of(server, tmp_path, pace=PACE) as bot,
    ):
        await until(lambda: bot.queue.lanes)
        job_id = await bot.take(new_job(request=request(steps=2_000)))
        await one.said(f"{job_id}:1 3")
        await bot.workers.withdraw(job_id)
        job = await bot.ended(job_id)
        await one.said(f"{job_id}:1 ended")
        assert job.state is S.CANCELLED
        # The lane is there for the next one.
        assert (await bot.ended(await bot.take(new_job(request=request(steps=2))))).state is S.DONE


@pytest.mark.long
async def test_a_worker_that_is_told_to_stop_leaves_nothing_behind(
    server: Server, tmp_path: Path
) -> None:
    async with (
        worker_process(server.url, name="one", pace=PACE) as one,
        bot_of(server, tmp_path, pace=PACE) as bot,
    ):
        await until(lambda: bot.queue.lanes)
        job_id = await bot.take(new_job(request=request(steps=20)))
        await one.said(f"{job_id}:1 3")
        one.send(signal.SIGTERM)
        job = await bot.ended(job_id)
        assert await one.ended() == 0
        await until(lambda: not bot.queue.lanes)
    assert (job.state, job.attempt, job.crashes) == (S.DONE, 1, 0)


async def _mishaps(
    server: Server, workers: list[tuple[str, Program]], chance: random.Random
) -> None:
    """Kill or stall a worker, or the broker, at a random moment."""
    await asyncio.sleep(chance.uniform(0.0, 1.0))
    if chance.random() < 0.2:
        server.kill()
        await asyncio.sleep(chance.uniform(0, 0.5))
        server.start()
        return
    _, victim = chance.choice(workers)
    if chance.random() < 0.5:
        victim.send(signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(0.1, 2 * BRIEF.silence))
        victim.send(signal.SIGCONT)
    else:
        victim.send(signal.SIGKILL)
        await victim.ended()


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 2, 4])
async def test_every_job_is_delivered_once_whatever_fails(
    server: Server,
    tmp_path: Path,
    count: int,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Here the engines are killed far more often than jobs are to blame for.
    monkeypatch.setattr("bot.store.jobs.CRASHES_MAX", 1_000)
    chance, jobs, mishaps = random.Random(count), 30, 10
    async with AsyncExitStack() as stack, bot_of(server, tmp_path) as bot:
        running: list[tuple[str, Program]] = []

        async def start(name: str) -> None:
            context = worker_process(server.url, name=name, step=0.02, pace=BRIEF)
            running.append((name, await stack.enter_async_context(context)))

        for number in range(count):
            await start(f"w{number}")
        ids = [
            await bot.take(new_job(user_id=user, request=request(steps=60, seed=user)))
            for user in range(jobs)
        ]
        for _ in range(mishaps):
            # In the middle of a job, as far as there are any left.
            await until(lambda: bot.queue.running or not len(bot.queue))
            await _mishaps(server, running, chance)
            for name, worker in list(running):
                if worker.dead:
                    running.remove((name, worker))
                    await start(name)
        await until(lambda: not len(bot.queue), 180)
        ended = [await bot.ended(job_id) for job_id in ids]
    assert [job.state for job in ended] == [S.DONE] * jobs
    assert sorted(job.id for job in bot.watcher.finished_jobs) == sorted(ids)
    again = sum(job.attempt - 1 for job in ended)
    assert again, "nothing was interrupted"
    record_property(TALLY, f"{count} workers, {mishaps} mishaps, {jobs} jobs, {again} tried again")
