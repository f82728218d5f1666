"""Several lanes whose engines can be lost and replaced, with all that they need around them."""

import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.queue import JobQueue, Lane
from bot.store import Job, NewJob, Store
from bot.worker.consumer import GpuConsumer
from bot.worker.engine import ImageEngine
from bot.worker.notices import Notices
from bot.worker.workers import Workers
from tests.catalog.fixed import fixed
from tests.store.factories import new_job
from tests.worker.checking import inspector
from tests.worker.fakes import CATALOG, FakeEngine, Watcher, Work, paint_at_once


def apart(*names: str) -> list[Lane]:
    """Lanes whose engines are in processes of their own."""
    return [Lane(name, isolated=True) for name in names or ("a",)]


class MortalEngine(FakeEngine):
    """One elsewhere: `renew` gives it up, which ends what hangs in it, and the next is there."""

    def __init__(self, work: Work = paint_at_once) -> None:
        super().__init__(work)
        self.given_up = threading.Event()
        self.renewed = self.started = 0

    def warm_up(self) -> None:
        super().warm_up()
        self.started += 1
        self.given_up.clear()

    def renew(self) -> bool:
        self.renewed += 1
        self.given_up.set()
        return True


@dataclass
class Lanes:
    store: Store
    queue: JobQueue
    workers: Workers
    engines: list[MortalEngine]
    watcher: Watcher

    async def take(self, new: NewJob | None = None) -> str:
        ticket = await self.queue.accept(new or new_job())
        self.queue.release(ticket.job.id)
        return ticket.job.id

    async def ended(self, job_id: str) -> Job:
        def told() -> bool:
            ended = [*self.watcher.finished_jobs, *self.watcher.failed_jobs]
            return job_id in {job.id for job in ended} and job_id not in self.queue

        await self.watcher.until(told)
        return await self.store.job(job_id)


@asynccontextmanager
async def lanes_of(
    folder: Path,
    lanes: Sequence[Lane],
    works: Sequence[Work] = (),
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Lanes]:
    """Running lanes. works: what the engine of each does; all else paints at once. clock: the
    queue's."""
    async with Store.open(folder / "x.sqlite3") as store:
        queue, watcher = JobQueue(store, lanes, clock=clock), Watcher()
        notices, withdrawn = Notices(), set[str]()

        def build(lane: Lane, engine: ImageEngine) -> GpuConsumer:
            return GpuConsumer(
                lane=lane,
                queue=queue,
                store=store,
                engine=engine,
                catalog=fixed(CATALOG),
                picture=lambda _: b"",
                observer=watcher,
                notices=notices,
                inspector=inspector(store),
                withdrawn=withdrawn,
                images_dir=folder / "images",
                timeout=600,
            )

        engines = [MortalEngine() for _ in lanes]
        for engine, work in zip(engines, works, strict=False):
            engine.work = work
        consumers = [build(lane, engine) for lane, engine in zip(lanes, engines, strict=True)]
        workers = Workers(queue, store, watcher, notices, consumers, withdrawn, build)
        async with AsyncExitStack() as running:
            await running.enter_async_context(workers.running())
            yield Lanes(store, queue, workers, engines, watcher)
