"""Jobs of a command line that died before they ended: the next bot paints them and keeps the files.

Nobody waits for them any more, so they end in the images folder, and in no channel.
"""

import asyncio
import logging

from bot.errors import Loss
from bot.process.lock import Claims
from bot.progress import Progress
from bot.queue import JobQueue
from bot.store import Job, JobState, Store
from bot.worker.consumer import JobObserver

log = logging.getLogger(__name__)


async def adopt(store: Store, queue: JobQueue, claims: Claims) -> int:
    """Line up what was left behind, in its old order; how many jobs were.

    What a living process has accepted is left to it.
    """
    adopted = 0
    for job in await _left_behind(store, claims, JobState.DONE):
        await store.deliver(job)
    for job in await _left_behind(store, claims, JobState.RUNNING):
        await store.lose(job, Loss.DIED)
    for job in await _left_behind(store, claims, JobState.PENDING):
        if poison := job.poison:
            log.warning("job %s: given up: %s", job.id, poison.code)
            await store.fail(job, poison)
            continue
        log.info("job %s: left behind by a command line that died; painted now", job.id)
        queue.line_up(job)
        adopted += 1
    return adopted


async def _left_behind(store: Store, claims: Claims, state: JobState) -> list[Job]:
    jobs = await store.jobs_in(state, "cli")
    return [job for job in jobs if await asyncio.to_thread(claims.abandoned, job.id)]


class KeptOrTold:
    """A JobObserver that keeps what the command line asked for, and tells `teller` of the rest."""

    def __init__(self, store: Store, teller: JobObserver) -> None:
        self._store = store
        self._teller = teller

    def moved(self, places: dict[str, Progress]) -> None:
        self._teller.moved(places)

    def progressed(self, job: Job, progress: Progress) -> None:
        if job.origin != "cli":
            self._teller.progressed(job, progress)

    async def finished(self, job: Job) -> None:
        if job.origin != "cli":
            await self._teller.finished(job)
        elif await self._store.deliver(job):
            log.info("job %s: kept in the images folder; nobody waits for it", job.id)

    async def failed(self, job: Job) -> None:
        if job.origin != "cli":
            await self._teller.failed(job)
