"""Workers: all consumers, one per lane, and what they share."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from bot.errors import EngineLost
from bot.log import concerning, here
from bot.queue import JobQueue
from bot.queue.outlook import FEW
from bot.store import Failure, Job, JobState, Store
from bot.worker.consumer import GRACE, GpuConsumer
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver

log = logging.getLogger(__name__)

TELL_AFTER = 0.1
"""Seconds within which changes of the queue are reported as one."""
SHARE = 20
"""In a long queue at least so many times as long as the last report took, which forecasts all
places."""


class Workers:
    """Drains the queue while `running`, and finds the lane that has a job to be cancelled."""

    def __init__(
        self,
        queue: JobQueue,
        store: Store,
        observer: JobObserver,
        notices: Notices,
        consumers: Sequence[GpuConsumer],
        withdrawn: set[str],
    ) -> None:
        self._queue = queue
        self._store = store
        self._observer = observer
        self._notices = notices
        self._consumers = tuple(consumers)
        self._withdrawn = withdrawn
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        queue.stop_with(self._stop)
        self._changed = asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether every lane takes jobs from the queue."""
        return all(consumer.draining for consumer in self._consumers)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs while the block lasts."""
        unsubscribe = self._queue.subscribe(self._changed.set)
        tasks = [asyncio.create_task(consumer.run()) for consumer in self._consumers]
        works = (self._fetch_ahead(), self._tell_places(), self._queue.still.watch())
        beside = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            unsubscribe()
            for task in beside:
                task.cancel()
            for consumer in self._consumers:
                consumer.stop()
            ends = (c.end(task) for c, task in zip(self._consumers, tasks, strict=True))
            closing = [future for future in await asyncio.gather(*ends) if future is not None]
            await self._notices.finish(closing, GRACE / 2)
            for consumer in self._consumers:
                consumer.shut_down()
            self._reader.shutdown(wait=False, cancel_futures=True)

    def warm_up(self) -> None:
        """Load torch and the default model ahead of the first job."""
        for consumer in self._consumers:
            consumer.warm_up()

    async def lost(self) -> EngineLost:
        """Wait until a consumer can no longer generate in this process; returns the reason."""
        waits = [asyncio.create_task(consumer.lost()) for consumer in self._consumers]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for wait in waits:
                wait.cancel()

    def cancel(self, job_id: str) -> bool:
        """Stop the job at its next step if a lane is running it; returns whether one is."""
        return any(consumer.cancel(job_id) for consumer in self._consumers)

    async def withdraw(self, job_id: str, why: Failure | None = None) -> Job | None:
        """Cancel a waiting job, or stop a running one at its next step.

        why: the reason that a waiting one has then failed for. Returns the job, which has ended or
        is still *running*; None if it had already ended or does not exist.
        """
        job = await self._store.find(job_id)
        if job is None:
            return None
        ended = await self._end(job, why) if job.state is JobState.PENDING else None
        if ended is not None:
            log.info("job %s: cancelled while waiting", job_id)
            self._queue.leave(job_id)
            self._notices.send(self._observer.failed(ended))
            return ended
        # It may have started just now.
        job = await self._store.job(job_id)
        if job.state is not JobState.RUNNING:
            return None
        self._stop(job_id)
        if job_id in self._withdrawn:
            job = await self._store.job(job_id)
            if job.state is not JobState.RUNNING:
                self._withdrawn.discard(job_id)
                return None
        return job

    async def _end(self, job: Job, why: Failure | None) -> Job | None:
        return await self._store.fail(job, why) if why else await self._store.cancel(job)

    def _stop(self, job_id: str) -> None:
        if not self.cancel(job_id):
            # Its lane is about to begin it, or has ended it just now.
            self._withdrawn.add(job_id)

    async def pause(self) -> None:
        """Start no more jobs until `unpause`, and free the GPUs' memory after the running ones."""
        await self._queue.still.pause(paused=True)
        log.info("paused")
        for consumer in self._consumers:
            consumer.rest()

    async def unpause(self) -> None:
        await self._queue.still.pause(paused=False)
        log.info("no longer paused")

    async def _tell_places(self) -> None:
        """Report the new places to the observer, after a delay that batches changes."""
        took = 0.0
        while True:
            await self._changed.wait()
            long = len(self._queue) > FEW
            await asyncio.sleep(max(TELL_AFTER, SHARE * took) if long else TELL_AFTER)
            self._changed.clear()
            took, begin = 0.0, time.monotonic()
            for places in self._queue.parts():
                for job in self._queue.running:
                    places.pop(job.id, None)
                try:
                    self._observer.moved(places)
                except Exception:
                    log.exception("an observer failed")
                took += time.monotonic() - begin
                await asyncio.sleep(0)
                begin = time.monotonic()

    async def _fetch_ahead(self) -> None:
        """Read the files that waiting jobs need from disk while others run."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                if job := await self._queue.newcomer():
                    work: Callable[[], None] = partial(self._likely(job).prefetch, job)
                    with concerning(job.id):
                        await loop.run_in_executor(self._reader, here(work))
            except Exception:
                # A failure only costs the time that it would have saved.
                log.exception("reading ahead failed")

    def _likely(self, job: Job) -> GpuConsumer:
        """The consumer that will probably run it: one with its model loaded, or else the first."""
        fitting = (c for c in self._consumers if c.lane.in_place.model == job.request.model)
        return next(fitting, self._consumers[0])
