"""What a dead command line left behind: painted by the next bot, unless a living one has it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.process.lock import Claims
from bot.progress import Progress, Stage
from bot.queue import JobQueue
from bot.store import Job, JobState, Store
from bot.worker.adoption import KeptOrTold, adopt
from tests.store.factories import done, new_job, running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def test_what_was_left_behind_is_lined_up_and_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    claims, queue = Claims(tmp_path), JobQueue(store)
    of_cli = new_job(origin="cli", user_id=0)
    waiting = await store.accept(of_cli)
    interrupted = await running(store, new_job(origin="cli", user_id=0))
    painted = await done(store, new_job(origin="cli", user_id=0))
    of_discord = await store.accept(new_job())
    alive = new_job(origin="cli", user_id=0)
    with claims.held(alive.id):
        await store.accept(alive)
        assert await adopt(store, queue, claims) == 2
        assert list(queue.places()) == [waiting.id, interrupted.id]
        assert (await store.job(interrupted.id)).crashes == 1
        assert (await store.job(painted.id)).state is JobState.DELIVERED
        assert [(await queue.next()).id for _ in range(2)] == [waiting.id, interrupted.id]
        for job_id in (of_discord.id, alive.id):
            assert (await store.job(job_id)).state is JobState.PENDING
            assert (await store.job(job_id)).crashes == 0


async def test_one_that_processes_die_of_is_given_up(store: Store, tmp_path: Path) -> None:
    job = await running(store, new_job(origin="cli"))
    for _ in range(9):
        queue = JobQueue(store)
        if await adopt(store, queue, Claims(tmp_path)):
            assert (await queue.next()).id == job.id
    failed = await store.job(job.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code.startswith("job.")


class Teller:
    def __init__(self) -> None:
        self.told: list[str] = []

    def moved(self, places: dict[str, Progress]) -> None:
        self.told.append("moved")

    def progressed(self, job: Job, progress: Progress) -> None:
        self.told.append(f"progressed {job.id}")

    async def finished(self, job: Job) -> None:
        self.told.append(f"finished {job.id}")

    async def failed(self, job: Job) -> None:
        self.told.append(f"failed {job.id}")


async def test_nobody_is_told_of_what_the_command_line_asked_for(store: Store) -> None:
    teller = Teller()
    observer = KeptOrTold(store, teller)
    kept, told = await done(store, new_job(origin="cli")), await done(store, new_job())
    observer.moved({})
    for job in (kept, told):
        observer.progressed(job, Progress(Stage.STARTING))
        await observer.finished(job)
        await observer.failed(job)
    assert teller.told == [
        "moved",
        f"progressed {told.id}",
        f"finished {told.id}",
        f"failed {told.id}",
    ]
    assert (await store.job(kept.id)).state is JobState.DELIVERED
    assert (await store.job(told.id)).state is JobState.DONE
