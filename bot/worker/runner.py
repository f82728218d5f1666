"""JobRunner: what a lane does for one job, from its start to what becomes of it."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.errors import EngineLost, JobFailed, NotHere, PaintStopped, StopReason, TooSmall
from bot.files.images import Compressed
from bot.progress import Progress, Stage
from bot.queue import JobQueue, Lane
from bot.recipe import environment_id
from bot.store import BLAMELESS_MAX, Job, Store, now_ms
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.comparing import Comparing
from bot.worker.engine import ImageEngine
from bot.worker.engine_thread import EngineThread
from bot.worker.image_check import CheckedPreviews, Inspector
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from bot.worker.outcomes import Outcomes
from bot.worker.painter import Painter
from bot.worker.permits import Permit, Screen, permitted, unscreened
from bot.worker.results import Described, PaintedImages, Result
from bot.worker.saving import Saver
from catalog import LiveCatalog

log = logging.getLogger(__name__)

OUT_OF_MEMORY = ("memory.out", "memory.model")
"""The reasons for which a job fails that a GPU with more memory may have enough for."""


def _as_is(progress: Progress) -> Progress:
    return progress


class JobRunner:
    """Has a lane's jobs generated, one at a time, and sees to what becomes of each.

    notices: runs the observer's `finished` and `failed` in the background.
    withdrawn: ids of jobs that were cancelled just as they started; shared by all lanes.
    images_dir: each job's files go into a subfolder named after it.
    picture: reads the PNG file stored under a sha256, see `order_of`.
    timeout: seconds that one job may run; more with many steps, see bot.worker.attempt.
    idle: seconds without a job after which the engine frees the GPU's memory; None is never.
    previews: whether people see images that are not finished. inspector: looks at all of them.
    permit: is asked before a job is generated. screen: is told the words that describe an image.
    """

    def __init__(
        self,
        *,
        lane: Lane,
        queue: JobQueue,
        store: Store,
        engine: ImageEngine,
        catalog: LiveCatalog,
        picture: Callable[[str], bytes],
        observer: JobObserver,
        notices: Notices,
        inspector: Inspector,
        withdrawn: set[str],
        images_dir: Path,
        timeout: float,
        idle: float | None = None,
        previews: Callable[[], bool] = lambda: True,
        permit: Permit = permitted,
        screen: Screen = unscreened,
    ) -> None:
        self.lane = lane
        self._queue = queue
        self._store = store
        self._engine = EngineThread(lane, queue, engine, catalog, self._lose)
        self._observer = observer
        self._images_dir = images_dir
        self._outcomes = Outcomes(store, observer, notices, images_dir)
        self._previews = CheckedPreviews(inspector, self._report)
        self._painter = Painter(self._engine, engine, catalog, picture, self._previews.report)
        self._saver = Saver(queue, store, self._outcomes, inspector, images_dir, self._leave)
        self._timeout = timeout
        self._permit = permit
        self._screen = screen
        self._picture = picture
        self._idle = idle
        self._compressor = ThreadPoolExecutor(1, thread_name_prefix=f"compressor-{lane.name}")
        self._comparing = Comparing(
            store,
            images_dir,
            self._compressor,
            self._painter.paint,
            lane,
            inspector,
            previews,
            self._too_small,
        )
        self._running: Attempt | None = None
        self._withdrawn = withdrawn
        self._stopping = self._leaving = False
        self._kept: set[str] = set()  # jobs that stay in the queue although they are abandoned
        self._lost: EngineLost | None = None
        self._losing = asyncio.Event()

    def warm_up(self) -> asyncio.Future[None]:
        """Load torch and the default model in the engine thread, ahead of the first job."""
        return self._engine.warm_up()

    def prefetch(self, job: Job) -> None:
        """Read the files that a waiting job needs from disk. Blocks; call it in another thread."""
        self._engine.prefetch(job)

    def rest(self) -> None:
        """Free the GPU's memory once the current job is done."""
        self._engine.rest()

    @contextmanager
    def _resting_when_idle(self) -> Iterator[None]:
        """Have the engine free the GPU's memory if the block lasts longer than `idle`."""

        def rest() -> None:
            log.info("idle for %.0f minutes: freeing the GPU's memory", (self._idle or 0) / 60)
            self.rest()

        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._idle, rest) if self._idle else None
        try:
            yield
        finally:
            if timer:
                timer.cancel()

    def _lose(self, error: EngineLost) -> None:
        log.critical("%s; this process has to end", error)
        self._lost = self._lost or error
        self._stopping = True
        self._engine.stop()
        self._losing.set()

    def _leave(self, job_id: str) -> None:
        if job_id in self._kept:
            return
        self._withdrawn.discard(job_id)
        self._queue.leave(job_id)

    @property
    def _attempts(self) -> tuple[Attempt, ...]:
        """The one that is being saved, and the one that is being generated."""
        return tuple(one for one in (self._saver.attempt, self._running) if one is not None)

    @property
    def _ends(self) -> bool:
        """Whether the bot stops, and not just this lane."""
        return self._stopping and not self._leaving

    async def _handle(self, job: Job) -> bool:
        """Have it generated; returns whether it stays in the queue: it is being saved, or waits
        again."""
        lane, model = self.lane, job.request.made_with
        log.info(
            "job %s: attempt %d with %s on %s (%s)",
            job.id,
            job.attempt,
            model,
            lane.name,
            lane.device,
        )
        self._running = running = Attempt(job, self._timeout)
        result: Result | None = None
        if job.id in self._withdrawn:
            running.stop(StopReason.CANCELLED)
        self._previews.report(job, Progress(Stage.STARTING))
        stays = False
        try:
            result = await self._result(running)
            self._previews.report(running.job, Progress(Stage.SAVING))
            await self._saver.idle(running.check_stop)
        except EngineLost as lost:
            stays = await self._engine_lost(running, lost)
        except NotHere as missing:
            stays = self._waits_again(await self._outcomes.not_here(running, missing))
        except PaintStopped as stopped:
            if self._leaving and stopped.reason is StopReason.SHUTDOWN:
                stays = await self._goes_on_elsewhere(running)
            else:
                await self._outcomes.raised(running, stopped)
        except Exception as error:
            # People are told in the order of their jobs.
            await self._saver.idle()
            if (memory := self._too_small(running, error)) is not None:
                stays = self._waits_again(await self._outcomes.for_larger(running, memory))
            else:
                await self._outcomes.raised(running, error)
        else:
            await self._save(running, result)
            return True
        finally:
            self._running = None
        if result is not None:
            result.drop()
        return stays

    def _waits_again(self, job: Job | None, *, avoiding: bool = False) -> bool:
        """Have `job`, if it is pending, wait in the queue, unless the bot stops; returns whether it
        does. avoiding: it goes to another lane, if there is one."""
        if job is None or self._ends:
            return False
        self._queue.put_back(job, self.lane if avoiding else None)
        return True

    async def _engine_lost(self, running: Attempt, lost: EngineLost) -> bool:
        """Returns whether the job waits again, because another engine takes this one's place."""
        if await self._engine.give_up(lost, self._painter.call):
            again = await self._outcomes.lost(running, lost, ends=self._ends)
            return self._waits_again(again, avoiding=True)
        lose = partial(self._store.lose, running.job, lost.loss, sure=lost.sure)
        await self._outcomes.record(lose, running.job)
        self._lose(lost)
        return False

    async def _goes_on_elsewhere(self, running: Attempt) -> bool:
        """It was stopped before it was done, together with the lane or the bot; returns whether it
        waits for another lane."""
        if self._ends:
            await self._outcomes.put_back(running.job)
            return False
        return self._waits_again(await self._outcomes.again(running))

    def _too_small(self, running: Attempt, error: Exception) -> int | None:
        """The bytes that this GPU has, if the job ran out of them and a larger one is there."""
        if isinstance(error, TooSmall):
            return error.memory
        memory = self.lane.memory
        if memory is None or not isinstance(error, JobFailed) or error.code not in OUT_OF_MEMORY:
            return None
        # A comparison has cells with other models than the job's, which may be the one.
        model = error.code == "memory.model" and running.job.request.comparison is None
        return memory if self._queue.too_small(self.lane, running.job, model=model) else None

    async def _result(self, running: Attempt) -> Result:
        """Generate all that the job asks for, if it may be by now."""
        job = running.job
        what = f"job {job.id}: it cannot be checked"
        permit = partial(self._permit, job)
        running.job = job = await keep_trying(permit, what, check=running.check)
        if job.request.comparison is not None:
            return await self._comparing.run(running)
        compressed = Compressed(self._compressor)
        try:
            painting = await self._painter.paint(running, job.request, _as_is, compressed.begin)
        except BaseException:
            compressed.drop()
            raise
        if job.request.describe is not None and painting.words is not None:
            screen = partial(self._screen, job, painting.words)
            await keep_trying(screen, what, check=running.check)
            picture = await asyncio.to_thread(self._picture, job.request.describe.sha256)
            return Described(painting, picture)
        return PaintedImages(job, self._images_dir, painting, compressed)

    async def _save(self, running: Attempt, result: Result) -> None:
        """Leave it to the saver, and the lane to the next job.

        One that was tried before keeps the lane until it is saved; of those that are generated in
        another process, one during which the bot has died twice. If it is the saving that ends the
        process, no other job must be blamed again and again; and a suspect runs alone.
        """
        self._running = None
        machine = environment_id(result.recipe.environment)
        self.lane.environment = replace(self.lane.environment, machine=machine)
        running.job = job = replace(running.job, painted_at=now_ms())
        self._saver.begin(running, result)
        if job.deaths < BLAMELESS_MAX if job.isolated else job.attempt <= 1:
            self._queue.hand_over(job)
        else:
            await self._saver.idle()

    def _report(self, job: Job, progress: Progress) -> None:
        if self._running is not None and self._running.job.id == job.id:
            self._observe(self._observer.progressed, job, progress)

    def _observe(self, tell: Callable[..., None], *news: Any) -> None:
        """Call an observer without letting its errors stop the job."""
        try:
            tell(*news)
        except Exception:
            log.exception("an observer failed")
