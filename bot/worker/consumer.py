"""GpuConsumer: the task of one lane, which has jobs generated in its own thread."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bot.errors import (
    EngineLost,
    JobFailed,
    Loss,
    PaintStopped,
    StopReason,
    StoreError,
    UserError,
)
from bot.files.images import Compressed
from bot.log import concerning, here
from bot.order import knows, order_of
from bot.painting import OnPainted, Painting
from bot.progress import Progress, Stage
from bot.queue import JobQueue, Lane
from bot.request import GenerationRequest
from bot.store import Job, Store, now_ms
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.comparing import Adapt, Comparing
from bot.worker.engine import ImageEngine
from bot.worker.image_check import CheckedPreviews, Inspector
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from bot.worker.outcomes import Outcomes
from bot.worker.permits import Permit, permitted
from bot.worker.results import PaintedImages, Result
from bot.worker.saving import Saver
from catalog import Catalog, LiveCatalog
from catalog.disk import may_pass

log = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds that a shutdown waits for the current step to end."""
PAUSE = 1.0
"""Seconds before retrying when the store cannot be used (locked, disk full)."""
PAUSES = (1, 2, 5, 10, 20)
"""Seconds before trying again when files cannot be read at the moment: too many are open, or a disk
or share is away."""
WATCH = 1.0
"""Seconds between two checks for a hung engine."""


def _as_is(progress: Progress) -> Progress:
    return progress


class GpuConsumer:
    """Takes its lane's next job, has it generated, and leaves it to its Saver.

    notices: runs the observer's `finished` and `failed` in the background.
    withdrawn: ids of jobs that were cancelled just as they started; shared by all lanes.
    images_dir: each job's files go into a subfolder named after it.
    picture: reads the PNG file stored under a sha256, see `order_of`.
    timeout: seconds that one job may run; more with many steps, see bot.worker.attempt.
    idle: seconds without a job after which the engine frees the GPU's memory; None is never.
    previews: whether people see images that are not finished. inspector: looks at all of them.
    permit: is asked before a job is generated.
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
    ) -> None:
        self.lane = lane
        self._queue = queue
        self._store = store
        self._engine = engine
        self._catalog = catalog
        self._picture = picture
        self._observer = observer
        self._images_dir = images_dir
        self._outcomes = Outcomes(store, observer, notices, images_dir)
        self._previews = CheckedPreviews(inspector, self._report)
        self._saver = Saver(queue, store, self._outcomes, inspector, images_dir, self._leave)
        self._timeout = timeout
        self._permit = permit
        self._idle = idle
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{lane.name}")
        self._compressor = ThreadPoolExecutor(1, thread_name_prefix=f"compressor-{lane.name}")
        self._comparing = Comparing(
            store, images_dir, self._compressor, self._paint_patiently, lane, inspector, previews
        )
        self._running: Attempt | None = None
        self._withdrawn = withdrawn
        self._stopping = False
        self._lost: EngineLost | None = None
        self._losing = asyncio.Event()
        self.draining = False  # whether `run` takes jobs

    def warm_up(self) -> None:
        """Load torch and the default model in the engine thread, ahead of the first job."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._thread, self._warm_up, loop)

    def prefetch(self, job: Job) -> None:
        """Read the files that a waiting job needs from disk. Blocks; call it in another thread."""
        known, names = self._catalog.current.adapters, job.request.names
        self._engine.prefetch([known[key] for key in names if key in known])

    def rest(self) -> None:
        """Free the GPU's memory once the current job is done."""
        asyncio.get_running_loop().run_in_executor(self._thread, self._engine.rest)

    async def lost(self) -> EngineLost:
        """Wait until this process can no longer generate; returns the reason."""
        await self._losing.wait()
        assert self._lost is not None  # noqa: S101
        return self._lost

    def _lose(self, error: EngineLost) -> None:
        log.critical("%s; this process has to end", error)
        self._lost = self._lost or error
        self._stopping = True
        self._losing.set()

    def _warm_up(self, loop: asyncio.AbstractEventLoop) -> None:
        self._engine.warm_up()
        try:
            catalog = self._catalog.current
            if model := catalog.models.get(catalog.default):
                self._engine.preload(model, self._check_stopping)
        except PaintStopped:
            log.info("stopped while the default model was loading")
        except EngineLost as error:
            loop.call_soon_threadsafe(self._lose, error)
        except UserError as error:
            log.warning("the default model cannot be loaded: %s", error)
        except Exception:
            log.exception("the default model cannot be loaded")

    def _check_stopping(self) -> None:
        if self._stopping:
            raise PaintStopped(StopReason.SHUTDOWN)

    async def run(self) -> None:
        """Run jobs, one at a time in the queue's order, until `stop` and `end`."""
        self.draining = True
        try:
            await self._drain()
        finally:
            self.draining = False

    async def _drain(self) -> None:
        while not self._stopping:
            try:
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
            handed_over = False
            try:
                with concerning(job.id):
                    handed_over = await self._handle(job)
            except Exception:
                log.exception("job %s: its result could not be handled", job.id)
            finally:
                if not handed_over:
                    self._leave(job.id)

    def _leave(self, job_id: str) -> None:
        self._withdrawn.discard(job_id)
        self._queue.leave(job_id)

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

    def cancel(self, job_id: str) -> bool:
        """Stop the job at its next step, if it is one that runs here; returns whether it is.

        One that is being saved is stopped only if that fails.
        """
        for attempt in self._attempts:
            if attempt.job.id == job_id:
                attempt.stop(StopReason.CANCELLED)
                return True
        return False

    @property
    def _attempts(self) -> tuple[Attempt, ...]:
        """The one that is being saved, and the one that is being generated."""
        return tuple(one for one in (self._saver.attempt, self._running) if one is not None)

    def stop(self) -> None:
        """Take no more jobs, and stop the running one at its next step. What is being saved is
        given up only if that fails."""
        self._stopping = True
        for attempt in self._attempts:
            attempt.stop(StopReason.SHUTDOWN)

    async def end(self, task: asyncio.Task[None]) -> asyncio.Future[None] | None:
        """After `stop`: end `task`, which runs `run`; unfinished jobs go back to pending.

        Returns a future that closes the engine; None if its thread is stuck or it is lost.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                if self._running is not None:
                    await asyncio.wait([task])
                await self._saver.idle()
        stuck = self._running
        for attempt in self._attempts:
            where = "inside one long call" if attempt is stuck else "being saved"
            log.warning("job %s: still %s; not waiting for it", attempt.job.id, where)
            await self._outcomes.put_back(attempt.job)
        task.cancel()
        await asyncio.wait([task])
        await self._saver.abandon()
        if stuck is not None or self._lost is not None:
            return None
        return asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)

    def shut_down(self) -> None:
        """Abandon the thread, even if it is busy."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._compressor.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, job: Job) -> bool:
        """Have it generated; returns whether the saver has taken it over."""
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
        try:
            result = await self._result(running)
            self._previews.report(job, Progress(Stage.SAVING))
            await self._saver.idle(running.check_stop)
        except EngineLost as lost:
            await self._outcomes.record(partial(self._store.lose, job, lost.loss), job)
            self._lose(lost)
        except PaintStopped as stopped:
            await self._outcomes.raised(running, stopped)
        except Exception as error:
            # People are told in the order of their jobs.
            await self._saver.idle()
            await self._outcomes.raised(running, error)
        else:
            await self._save(running, result)
            return True
        finally:
            self._running = None
        if result is not None:
            result.drop()
        return False

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
            painting = await self._paint_patiently(running, job.request, _as_is, compressed.begin)
        except BaseException:
            compressed.drop()
            raise
        return PaintedImages(job, self._images_dir, painting, compressed)

    async def _save(self, running: Attempt, result: Result) -> None:
        """Leave it to the saver, and the lane to the next job.

        One that was tried before keeps the lane until it is saved. If it is the saving that ends
        the process, no other job must be blamed again and again; and a suspect runs alone.
        """
        self._running = None
        running.job = job = replace(running.job, painted_at=now_ms())
        self._saver.begin(running, result)
        if job.attempt == 1:
            self._queue.hand_over(job)
        else:
            await self._saver.idle()

    async def _paint_patiently(
        self, running: Attempt, request: GenerationRequest, adapt: Adapt, each: OnPainted
    ) -> Painting:
        """As `_paint`, and again for as long as PAUSES if files cannot be read at the moment.

        Raises JobFailed if they still cannot.
        """
        for pause in (*PAUSES, 0):
            try:
                return await self._paint(running, request, adapt, each)
            except OSError as error:
                if not may_pass(error):
                    raise
                fault = error
            log.error("job %s: a file cannot be read now: %s", running.job.id, fault)
            for _ in range(pause):
                await asyncio.sleep(1)
                running.check()
        raise JobFailed("job.files", reason=fault.strerror or type(fault).__name__)

    async def _paint(
        self, running: Attempt, request: GenerationRequest, adapt: Adapt, each: OnPainted
    ) -> Painting:
        """Generate `request`, which is the job's or one cell of it.

        adapt: changes each report. each: is told of each image. Both are called in the engine
        thread. Raises EngineLost if that hangs.
        """
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            running.heard(progress)
            loop.call_soon_threadsafe(self._previews.report, running.job, adapt(progress))

        def work(catalog: Catalog) -> Painting:
            running.check()
            order = order_of(request, catalog, self._picture)
            return self._engine.paint(order, report, running.check, each)

        catalog = await self._catalog_for(running, request)
        painting = loop.run_in_executor(self._thread, here(partial(work, catalog)))
        while not painting.done():
            await asyncio.wait([painting], timeout=WATCH)
            if not painting.done() and (why := running.hung()) is not None:
                raise EngineLost(Loss.HUNG, f"job {running.job.id}: {why}")
        return await painting

    async def _catalog_for(self, running: Attempt, request: GenerationRequest) -> Catalog:
        """As soon as it has what the request names, or every model file has been read."""
        catalog = await self._catalog.knowing(*request.names)
        if catalog.unread and not knows(catalog, request):
            log.info("job %s: waiting until the model files are read", running.job.id)
        while catalog.unread and not knows(catalog, request):
            running.check()
            await asyncio.sleep(WATCH)
            catalog = self._catalog.current
        return catalog

    def _report(self, job: Job, progress: Progress) -> None:
        if self._running is not None and self._running.job.id == job.id:
            self._observe(self._observer.progressed, job, progress)

    def _observe(self, tell: Callable[..., None], *news: Any) -> None:
        """Call an observer without letting its errors stop the job."""
        try:
            tell(*news)
        except Exception:
            log.exception("an observer failed")
