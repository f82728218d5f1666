"""Workers: all consumers, one per lane, and what they share."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

from bot.errors import EngineLost
from bot.log import concerning, here
from bot.queue import JobQueue, Lane, LaneState
from bot.store import Failure, Job, JobState, Store
from bot.supervision import supervised
from bot.worker.consumer import GRACE, GpuConsumer
from bot.worker.engine import ImageEngine
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from bot.worker.told import times_told

log = logging.getLogger(__name__)

TELL_AFTER = 0.1
"""Seconds within which changes of the queue are reported as one."""
SHARE = 20
"""At least so many times as long as the last report took, which forecasts all places."""
PASSED_AFTER = 1.0
"""Seconds between two reports of which the later one is only due because a time has passed."""


BuildConsumer: TypeAlias = Callable[[Lane, ImageEngine], GpuConsumer]
"""Makes the consumer of a lane and its engine."""


class Workers:
    """Drains the queue while `running`, and finds the lane that has a job to be cancelled.

    Lanes come and go: those with which it begins are of this machine's devices.

    consumers: of the queue's lanes. build: makes those of lanes that are added. withdrawn: ids of
    jobs that were cancelled just as they started; shared with the consumers.
    """

    def __init__(
        self,
        queue: JobQueue,
        store: Store,
        observer: JobObserver,
        notices: Notices,
        consumers: Sequence[GpuConsumer],
        withdrawn: set[str],
        build: BuildConsumer | None = None,
    ) -> None:
        self._queue = queue
        self._store = store
        self._observer = observer
        self._notices = notices
        self._consumers = {consumer.lane: consumer for consumer in consumers}
        self._leaving: dict[GpuConsumer, asyncio.Task[None] | None] = {}
        self._build = build
        self._tasks: dict[Lane, asyncio.Task[None]] | None = None
        self._came = asyncio.Event()
        self._warming: asyncio.Task[None] | None = None
        self._withdrawn = withdrawn
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        queue.stop_with(self._stop)
        self._changed = asyncio.Event()

    @property
    def taking_jobs(self) -> bool:
        """Whether every lane takes jobs from the queue."""
        return all(consumer.taking_jobs for consumer in self._consumers.values())

    def problem(self) -> str | None:
        """Why no job can be started, in a few words; None if some lane takes jobs."""
        taking = [lane for lane, consumer in self._consumers.items() if consumer.taking_jobs]
        if any(lane.state is LaneState.READY for lane in taking):
            return None
        states = [f"{lane.name} is {lane.state.value}" for lane in taking]
        return ": ".join(["not taking jobs", *filter(None, [", ".join(states)])])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs while the block lasts."""
        unsubscribe = self._queue.subscribe(self._changed.set)
        self._tasks = {lane: _running(lane, each) for lane, each in self._consumers.items()}
        works = {
            "reading ahead": self._fetch_ahead,
            "telling places": self._tell_places,
            "quiet hours": self._queue.still.watch,
            "lanes that are away": self._queue.absences.watch,
        }
        beside = [asyncio.create_task(supervised(what, work)) for what, work in works.items()]
        try:
            yield
        finally:
            unsubscribe()
            for task in (*beside, *([self._warming] if self._warming else [])):
                task.cancel()
            consumers, tasks, self._tasks = [*self._consumers.values()], self._tasks, None
            for consumer in (*consumers, *self._leaving):
                consumer.stop()
            ends = (consumer.end(tasks[consumer.lane]) for consumer in consumers)
            closing = [future for future in await asyncio.gather(*ends) if future is not None]
            await self._give_up_saving()
            await self._notices.finish(closing, GRACE / 2)
            for consumer in consumers:
                consumer.shut_down()
            self._reader.shutdown(wait=False, cancel_futures=True)

    def add(self, lane: Lane, engine: ImageEngine) -> None:
        """From now on, `lane` takes jobs and has `engine` generate them. Raises ValueError if its
        name is taken."""
        if self._build is None:
            raise ValueError("these workers have no way to build a consumer")
        self._queue.add_lane(lane)
        self._consumers[lane] = consumer = self._build(lane, engine)
        if self._tasks is not None:
            self._tasks[lane] = _running(lane, consumer)
        self._came.set()
        if self._warming is not None and not self._queue.still.now:
            consumer.warm_up()
        log.info("lane %s: added (%s)", lane.name, lane.device)

    async def remove(self, lane: Lane) -> None:
        """End it within seconds: its job stops and waits for another lane. To have it finish its
        job first, drain it. What it has generated is saved, however long that takes. Nothing
        happens if it is gone already."""
        consumer = self._consumers.pop(lane, None)
        if consumer is None:
            return
        self._leaving[consumer] = None
        consumer.leave()
        task = None if self._tasks is None else self._tasks.pop(lane, None)
        closing = None if task is None else await consumer.end(task)
        self._queue.remove_lane(lane)
        if closing is not None:
            await asyncio.wait([closing], timeout=GRACE)
        log.info("lane %s: removed", lane.name)
        if consumer.saves:
            what, saved = f"lane {lane.name}: its last job", partial(self._saved, consumer)
            self._leaving[consumer] = asyncio.create_task(supervised(what, saved, again=False))
        else:
            del self._leaving[consumer]
            consumer.shut_down()

    async def _saved(self, consumer: GpuConsumer) -> None:
        try:
            await consumer.saved()
        finally:
            del self._leaving[consumer]
            consumer.shut_down()

    async def _give_up_saving(self) -> None:
        """What lanes that are gone still save. They were told to stop before."""
        if saving := [task for task in self._leaving.values() if task is not None]:
            _, late = await asyncio.wait(saving, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def warm_up(self) -> None:
        """Load torch and the default model on every lane, ahead of the first job: on one after the
        other, since they read the same files from the same disk."""
        warming = supervised("loading models ahead", self._warm_up, again=False)
        self._warming = asyncio.create_task(warming)

    async def _warm_up(self) -> None:
        for lane in self._queue.lanes:
            if (consumer := self._consumers.get(lane)) is not None:
                await asyncio.wait([warming := consumer.warm_up()])
                if not warming.cancelled():  # as it is if the lane is removed
                    warming.result()

    async def lost(self) -> EngineLost:
        """Wait until a consumer can no longer generate in this process; returns the reason."""
        while True:
            self._came.clear()
            losing = [asyncio.create_task(each.lost()) for each in self._consumers.values()]
            coming = asyncio.create_task(self._came.wait())
            try:
                await asyncio.wait([*losing, coming], return_when=asyncio.FIRST_COMPLETED)
                for each in losing:
                    if each.done():
                        return each.result()
            finally:
                for wait in (*losing, coming):
                    wait.cancel()

    def cancel(self, job_id: str) -> bool:
        """Stop the job at its next step if a lane is running it; returns whether one is."""
        return any(c.cancel(job_id) for c in (*self._consumers.values(), *self._leaving))

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
        for consumer in self._consumers.values():
            consumer.rest()

    async def unpause(self) -> None:
        await self._queue.still.pause(paused=False)
        log.info("no longer paused")

    async def _tell_places(self) -> None:
        """Report the new places to the observer, after a delay that batches changes.

        They are also new once somebody should have been ready: a running job takes longer than it
        was expected to.
        """
        took, told = 0.0, dict[str, int]()
        while True:
            await self._changed_or_passed(told)
            await asyncio.sleep(max(TELL_AFTER, SHARE * took))
            self._changed.clear()
            took, begin = 0.0, time.monotonic()
            before, told = told, {}
            for places in self._queue.parts():
                for job in self._queue.running:
                    places.pop(job.id, None)
                try:
                    self._observer.moved(places)
                except Exception:
                    log.exception("an observer failed")
                told |= times_told(before, places, time.time())
                took += time.monotonic() - begin
                await asyncio.sleep(0)
                begin = time.monotonic()

    async def _changed_or_passed(self, told: Mapping[str, int]) -> None:
        """Wait for the queue to change, or for the earliest of these times."""
        left = max(PASSED_AFTER, min(told.values()) - time.time()) if told else None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), left)

    async def _fetch_ahead(self) -> None:
        """Read the files that waiting jobs need from disk while others run."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                job = await self._queue.newcomer()
                if job and (likely := self._likely(job)):
                    work: Callable[[], None] = partial(likely.prefetch, job)
                    with concerning(job.id):
                        await loop.run_in_executor(self._reader, here(work))
            except Exception:
                # A failure only costs the time that it would have saved.
                log.exception("reading ahead failed")

    def _likely(self, job: Job) -> GpuConsumer | None:
        """The consumer that will probably run it: one with its model loaded, or else the first."""
        ready = [c for c in self._consumers.values() if c.lane.state is LaneState.READY]
        fitting = (c for c in ready if c.lane.in_place.model == job.request.model)
        return next(fitting, ready[0] if ready else None)


def _running(lane: Lane, consumer: GpuConsumer) -> asyncio.Task[None]:
    return asyncio.create_task(supervised(f"lane {lane.name}", consumer.run))
