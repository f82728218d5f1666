"""Outcomes: records how attempts end other than with images, and has their people told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bot.errors import EngineLost, NotHere, PaintStopped, Param, StopReason, StoreError, UserError
from bot.files.images import discard_images
from bot.log import traceback_without
from bot.progress import Notice
from bot.request.dialects import OF_PROMPTS
from bot.store import CELL_FAILED, Failure, Job, JobState, Store
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver

log = logging.getLogger(__name__)

T = TypeVar("T")


class Outcomes:
    """Of the attempts of one lane.

    notices: runs the observer's `finished` and `failed` in the background.
    images_dir: each job's files are in a subfolder named after it.
    """

    def __init__(
        self, store: Store, observer: JobObserver, notices: Notices, images_dir: Path
    ) -> None:
        self._store = store
        self._observer = observer
        self._notices = notices
        self._images_dir = images_dir

    def done(self, job: Job) -> None:
        """It is *done*: has its person told."""
        for notice in job.warnings:
            log.info("job %s: %s %s", job.id, notice.code, _without_prompts(notice))
        log.info("job %s: done in %.1f s", job.id, job.seconds)
        self._notices.send(self._observer.finished(job))

    async def late(self, job: Job) -> None:
        """Another attempt, or a cancellation, has overtaken this one."""
        log.warning("job %s: attempt %d finished too late; result dropped", job.id, job.attempt)
        await self._discard_if_cancelled(job)

    async def raised(self, running: Attempt, error: Exception) -> None:
        """It raised `error`: it was stopped, or fails."""
        job = running.job
        match error:
            case PaintStopped():
                await self._stopped(running, error.reason)
            case UserError():
                log.info("job %s: %s", job.id, error)
                await self._fail(job, Failure.of(error))
            case _:
                prompts = job.request.texts
                log.error("job %s: unexpected\n%s", job.id, traceback_without(error, prompts))
                await self._fail(job, Failure("job.unexpected", {"id": job.id}))

    async def put_back(self, job: Job) -> None:
        """The bot ends before it is done. An error of the store is only logged: the next start
        recovers the job anyway."""
        try:
            await self._store.requeue(job)
        except StoreError as error:
            log.error("%s", error)

    async def again(
        self, running: Attempt, change: Callable[[], Awaitable[Job | None]] | None = None
    ) -> Job | None:
        """It is to be tried again while the bot goes on. Returns the job if it is pending now: not
        if it was cancelled before or meanwhile, and it fails if it was tried too often.

        change: what makes it pending; None: its lane gives it back.
        """
        job = running.job
        if _reason(running) is StopReason.CANCELLED:
            await self._stopped(running, StopReason.CANCELLED)
            return None
        again = await self.record(change or partial(self._store.requeue, job, given_back=True), job)
        if again is None:
            # What was cancelled while it waited for the same write may have made it pending.
            now = await self.record(partial(self._store.job, job.id), job)
            waits = now.state is JobState.PENDING and now.attempt == job.attempt
            again = now if waits else None
        if _reason(running) is StopReason.CANCELLED:
            await self._stopped(running, StopReason.CANCELLED)
            return None
        if again is not None and (poison := again.poison) is not None:
            log.warning("job %s: given up: %s (attempt %d)", job.id, poison.code, job.attempt)
            await self._fail(again, poison)
            return None
        return again

    async def lost(self, running: Attempt, error: EngineLost, *, ends: bool) -> Job | None:
        """Its engine was lost, and another will take its place. Returns the job if it is pending
        now, see `again`. ends: whether the bot stops."""
        job = running.job
        if ends:
            await self._stopped(running, _reason(running) or StopReason.SHUTDOWN)
            return None
        log.warning("job %s: %s (%s)", job.id, error, error.loss.value)
        if error.innocent:
            lose = partial(self._store.requeue, job, given_back=True)
        else:
            lose = partial(self._store.lose, job, error.loss, sure=error.sure)
        return await self.again(running, lose)

    async def not_here(self, running: Attempt, missing: NotHere) -> Job | None:
        """Its lane lacks files. Returns the job if it is pending now, see `again`."""
        log.info("job %s: put back, as its lane lacks files: %s", running.job.id, missing)
        return await self.again(running)

    async def for_larger(self, running: Attempt, memory: int) -> Job | None:
        """It ran out of memory on a GPU that has `memory` bytes, and a larger one is there. Returns
        the job if it is pending now, see `again`."""
        job = running.job
        log.info("job %s: put back for a GPU with more than %d MiB", job.id, memory >> 20)
        return await self.again(running, partial(self._store.requeue, job, memory))

    async def record(self, change: Callable[[], Awaitable[T]], job: Job) -> T:
        """Make a `change` of the job's state, retrying until it succeeds."""
        return await keep_trying(change, f"job {job.id}: its state cannot be saved")

    async def _stopped(self, running: Attempt, reason: StopReason) -> None:
        job = running.job
        log.info("job %s: stopped (%s)", job.id, reason.value)
        match reason:
            case StopReason.SHUTDOWN:
                await self.put_back(job)
            case StopReason.TIMEOUT:
                await self._fail(job, Failure("job.timeout", {"seconds": round(running.seconds)}))
            case StopReason.CANCELLED:
                cancelled = await self.record(lambda: self._store.cancel(job), job)
                await self._discard_if_cancelled(job)
                if cancelled is not None:
                    self._notices.send(self._observer.failed(cancelled))

    async def _discard_if_cancelled(self, job: Job) -> None:
        """Housekeeping only prunes files that have rows in the store."""
        now = await self.record(lambda: self._store.job(job.id), job)
        if now.state is JobState.CANCELLED:
            await asyncio.to_thread(discard_images, job, self._images_dir)

    async def _fail(self, job: Job, failure: Failure) -> None:
        if failed := await self.record(lambda: self._store.fail(job, failure), job):
            self._notices.send(self._observer.failed(failed))


def _reason(running: Attempt) -> StopReason | None:
    """Why it was told to stop; None if it was not."""
    try:
        running.check_stop()
    except PaintStopped as stopped:
        return stopped.reason
    return None


def _without_prompts(notice: Notice) -> dict[str, Param]:
    """The parameters of a notice without what a person typed into a prompt."""
    if notice.code.startswith(OF_PROMPTS):
        return {}
    # The values of a cell may be parts of a prompt.
    left_out = ("values",) if notice.code == CELL_FAILED else ()
    return {name: value for name, value in notice.params.items() if name not in left_out}
