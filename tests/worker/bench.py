"""A consumer with all that it needs around it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.painting import Painting
from bot.queue import JobQueue
from bot.request import GenerationRequest
from bot.store import Job, NewJob, Store
from bot.worker.workers import Workers
from tests.store.factories import new_job, painting
from tests.worker.fakes import CheckStop, FakeEngine, Report, Watcher

Build = Callable[..., Any]
"""The fixture `build`."""


@dataclass
class Bench:
    store: Store
    queue: JobQueue
    workers: Workers
    engine: FakeEngine
    watcher: Watcher
    images: Path
    stop: Callable[[], Awaitable[None]]

    async def take(self, new: NewJob | None = None) -> str:
        ticket = await self.queue.accept(new or new_job())
        self.queue.release(ticket.job.id)
        return ticket.job.id

    async def ended(self, job_id: str) -> Job:
        """Wait until the job's observer was told and it left the queue."""

        def told() -> bool:
            ended = [*self.watcher.finished_jobs, *self.watcher.failed_jobs]
            return job_id in {job.id for job in ended} and job_id not in self.queue.places()

        await self.watcher.until(told)
        return await self.store.job(job_id)


class Gate:
    """Work that signals when it began and waits until it may go on."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        self.began.set()
        assert self.go_on.wait(30)
        check()
        return painting(asked)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.began.wait, 20)
