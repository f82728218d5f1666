"""Saver: saves what a lane has generated, while the lane generates the next job."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bot.progress import Notice
from bot.queue import JobQueue
from bot.recipe import Recipe
from bot.store import ImageRecord, Job, Store, files_error
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.image_check import Inspector
from bot.worker.outcomes import Outcomes
from bot.worker.results import Result, made_elsewhere

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two checks of whether waiting still makes sense."""


class Saver:
    """Saves one job at a time.

    One is enough: saving takes less time than generating, so the GPU waits only for a disk that is
    full or very slow, and then more of them would only fill the memory with images. It also keeps
    the order in which people are told.

    attempt: the one that is being saved; None if there is none.
    left: called with a job's id when it has ended, one way or the other; must return at once.
    images_dir: each job's files go into a subfolder named after it.
    """

    def __init__(
        self,
        queue: JobQueue,
        store: Store,
        outcomes: Outcomes,
        inspector: Inspector,
        images_dir: Path,
        left: Callable[[str], None],
    ) -> None:
        self.attempt: Attempt | None = None
        self._queue = queue
        self._store = store
        self._outcomes = outcomes
        self._inspector = inspector
        self._images_dir = images_dir
        self._left = left
        self._task: asyncio.Task[None] | None = None

    def begin(self, attempt: Attempt, result: Result) -> None:
        """Save `result` in the background; only after `idle`."""
        self.attempt = attempt
        self._task = asyncio.create_task(self._save(attempt, result))

    async def idle(self, check: Callable[[], None] = lambda: None) -> None:
        """Wait until nothing is being saved. check: called meanwhile; raises to give up."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait([task], timeout=LOOK)
            if not task.done():
                check()

    async def abandon(self) -> None:
        """Wait for it no longer; nothing of it is stored from then on."""
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _save(self, attempt: Attempt, result: Result) -> None:
        try:
            await self._end(attempt, result)
        except Exception:
            log.exception("job %s: its result could not be handled", attempt.job.id)
        finally:
            result.drop()
            self.attempt = self._task = None
            self._left(attempt.job.id)

    async def _end(self, attempt: Attempt, result: Result) -> None:
        try:
            done = await self._keep(attempt, result)
        except Exception as error:
            await self._outcomes.raised(attempt, error)
            return
        if done is None:
            await self._outcomes.late(attempt.job)
            return
        self._queue.painted(done)
        self._outcomes.done(done)

    async def _keep(self, attempt: Attempt, result: Result) -> Job | None:
        """Save the images to disk and the result to the store, retrying until both succeed.

        Returns None if the job is no longer in this attempt. Raises PaintStopped if it is stopped
        while retrying, and JobFailed if the image check refuses them.
        """
        job = attempt.job

        async def save() -> tuple[ImageRecord, ...]:
            try:
                return await asyncio.to_thread(result.save)
            except OSError as error:
                raise files_error(self._images_dir, error) from error

        async def finish() -> Job | None:
            warnings = (*result.warnings, *await self._elsewhere(job, result.recipe), *notices)
            return await self._store.finish(job, result.recipe, images, warnings, result.words)

        what = f"job {job.id}: generated, but its result cannot be saved"
        inspect = partial(self._inspector.inspect, job, result.unchecked)
        notices = await keep_trying(inspect, what, check=attempt.check_stop)
        images = await keep_trying(save, what, check=attempt.check_stop)
        return await keep_trying(finish, what, check=attempt.check_stop)

    async def _elsewhere(self, job: Job, recipe: Recipe) -> tuple[Notice, ...]:
        if job.request.environment is None or job.parent_id is None:
            return ()
        original = await self._store.find(job.parent_id)
        if original is None or original.recipe is None:
            return ()
        return made_elsewhere(recipe, original.recipe)
