"""GpuConsumer: the task of one lane, which has jobs generated in its own thread."""

import asyncio
import logging
from contextlib import suppress

from bot.errors import EngineLost, StopReason, StoreError
from bot.log import concerning
from bot.worker.runner import JobRunner

log = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds that a shutdown waits for the current step to end."""
PAUSE = 1.0
"""Seconds before retrying when the store cannot be used (locked, disk full)."""


class GpuConsumer(JobRunner):
    """Takes its lane's next job, has it generated, and leaves it to its Saver. See JobRunner for
    what it is made of."""

    taking_jobs = False
    """Whether `run` takes jobs."""

    async def lost(self) -> EngineLost:
        """Wait until this process can no longer generate; returns the reason."""
        await self._losing.wait()
        assert self._lost is not None  # noqa: S101
        return self._lost

    async def run(self) -> None:
        """Run jobs, one at a time in the queue's order, until `stop` and `end`."""
        self.taking_jobs = True
        try:
            await self._drain()
        finally:
            self.taking_jobs = False

    async def _drain(self) -> None:
        while not self._stopping:
            try:
                if not await self._engine.ready():
                    continue
                with self._resting_when_idle():
                    job = await self._queue.next(self.lane)
            except StoreError as error:
                log.error("the next job cannot be started: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            except Exception:
                log.exception("the next job could not be started")
                await asyncio.sleep(PAUSE)
                continue
            stays = False
            try:
                with concerning(job.id):
                    stays = await self._handle(job)
            except Exception:
                log.exception("job %s: its result could not be handled", job.id)
            finally:
                if not stays:
                    self._leave(job.id)

    def cancel(self, job_id: str) -> bool:
        """Stop the job at its next step, if it is one that runs here; returns whether it is.

        One that is being saved is stopped only if that fails.
        """
        for attempt in self._attempts:
            if attempt.job.id == job_id:
                attempt.stop(StopReason.CANCELLED)
                return True
        return False

    def stop(self) -> None:
        """Take no more jobs, and stop the running one at its next step. What is being saved is
        given up only if that fails. Also after `leave`: then the bot stops meanwhile."""
        self._stopping, self._leaving = True, False
        self._engine.stop()
        for attempt in self._attempts:
            attempt.stop(StopReason.SHUTDOWN)

    def leave(self) -> None:
        """As `stop`, while the other lanes go on: the job goes back into the queue. What is being
        saved needs no engine, so it is not given up: see `saved`."""
        self._leaving = self._stopping = self.lane.leaving = True
        self._engine.stop()
        if self._running is not None:
            self._running.stop(StopReason.SHUTDOWN)

    async def end(self, task: asyncio.Task[None]) -> asyncio.Future[None] | None:
        """After `stop`: end `task`, which runs `run`; unfinished jobs go back to pending.

        Returns a future that closes the engine; None if its thread is stuck or it is lost.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                if self._running is not None:
                    await asyncio.wait([task])
                await self._saver.idle()
        stuck, unfinished = self._running, self._attempts
        if leaves := self._leaving:
            unfinished = () if stuck is None else (stuck,)
        self._kept = {attempt.job.id for attempt in unfinished}
        task.cancel()
        await asyncio.wait([task])
        if not leaves:
            await self._saver.abandon()
        self._kept.clear()
        for attempt in unfinished:
            where = "inside one long call" if attempt is stuck else "being saved"
            log.warning("job %s: still %s; not waiting for it", attempt.job.id, where)
            if not await self._goes_on_elsewhere(attempt):
                self._leave(attempt.job.id)
        if stuck is not None or self._lost is not None:
            return None
        return self._engine.close()

    @property
    def saves(self) -> bool:
        """Whether something is being saved."""
        return self._saver.attempt is not None

    async def saved(self) -> None:
        """After `leave` and `end`: wait until what is being saved is. If this is cancelled, its job
        goes back to pending."""
        try:
            await self._saver.idle()
        finally:
            if (attempt := self._saver.attempt) is not None:
                await self._saver.abandon()
                await self._outcomes.put_back(attempt.job)

    def shut_down(self) -> None:
        """Abandon the thread, even if it is busy."""
        self._engine.shut_down()
        self._compressor.shutdown(wait=False, cancel_futures=True)
