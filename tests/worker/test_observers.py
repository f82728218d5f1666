"""Who is told what becomes of a job."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.progress import Progress, Stage
from bot.store import Job, JobState, Store
from bot.worker.observers import ByOrigin, Kept
from tests.store.factories import done, new_job, of_cli


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


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
    observer = ByOrigin({"discord": teller}, otherwise=Kept(store))
    kept, told = await done(store, of_cli()), await done(store, new_job())
    lost = await store.cancel(await store.accept(of_cli()))
    assert lost is not None
    await observer.failed(lost)
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
    assert (await store.job(lost.id)).told_at is not None
