"""GpuConsumer: the task of one lane, which generates in its own thread."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bot.errors import (
    EngineLost,
    JobFailed,
    Loss,
    PaintStopped,
    StopReason,
    StoreError,
    UserError,
)
from bot.files.images import Compressed, discard_images, save_images
from bot.log import concerning, here, traceback_without
from bot.order import knows, order_of
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.queue import JobQueue, Lane
from bot.store import Failure, ImageRecord, Job, JobState, Store, files_error
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.engine import ImageEngine
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from catalog import Catalog, LiveCatalog
from catalog.disk import may_pass

log = logging.getLogger(__name__)

T = TypeVar("T")
GRACE = 3.0
"""Seconds that a shutdown waits for the current step to end."""
PAUSE = 1.0
"""Seconds before retrying when the store cannot be used (locked, disk full)."""
PAUSES = (1, 2, 5, 10, 20)
"""Seconds before trying again when files cannot be read at the moment: too many are open, or a disk
or share is away."""
WATCH = 1.0
"""Seconds between two checks for a hung engine."""


class GpuConsumer:
    """Takes its lane's next job, has it generated, stores the files and notifies the observer.

    notices: runs the observer's `finished` and `failed` in the background.
    withdrawn: ids of jobs that were cancelled just as they started; shared by all lanes.
    images_dir: each job's files go into a subfolder named after it.
    picture: reads the PNG file stored under a sha256, see `order_of`.
    timeout: seconds that one job may run; more with many steps, see bot.worker.attempt.
    idle: seconds without a job after which the engine frees the GPU's memory; None is never.
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
        withdrawn: set[str],
        images_dir: Path,
        timeout: float,
        idle: float | None = None,
    ) -> None:
        self.lane = lane
        self._queue = queue
        self._store = store
        self._engine = engine
        self._catalog = catalog
        self._picture = picture
        self._observer = observer
        self._notices = notices
        self._images_dir = images_dir
        self._timeout = timeout
        self._idle = idle
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{lane.name}")
        self._compressor = ThreadPoolExecutor(1, thread_name_prefix=f"compressor-{lane.name}")
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
        known = self._catalog.current.adapters
        self._engine.prefetch([known[use.key] for use in job.request.adapters if use.key in known])

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
            try:
                with concerning(job.id):
                    await self._handle(job)
            except Exception:
                log.exception("job %s: its result could not be handled", job.id)
            finally:
                self._withdrawn.discard(job.id)
                self._queue.leave(job.id)

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
        """Stop the running job at its next step, if it is `job_id`; returns whether it is."""
        if self._running is not None and self._running.job.id == job_id:
            self._running.stop(StopReason.CANCELLED)
            return True
        return False

    def stop(self) -> None:
        """Take no more jobs, and stop the running one at its next step."""
        self._stopping = True
        if self._running is not None:
            self._running.stop(StopReason.SHUTDOWN)

    async def end(self, task: asyncio.Task[None]) -> asyncio.Future[None] | None:
        """After `stop`: end `task`, which runs `run`; an unfinished job goes back to pending.

        Returns a future that closes the engine; None if its thread is stuck or it is lost.
        """
        if self._running is not None:
            await asyncio.wait([task], timeout=GRACE)
        stuck = self._running
        if stuck is not None:
            log.warning("job %s: still inside one long call; not waiting for it", stuck.job.id)
            await self._quietly(self._store.requeue(stuck.job))
        task.cancel()
        await asyncio.wait([task])
        if stuck is not None or self._lost is not None:
            return None
        return asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)

    def shut_down(self) -> None:
        """Abandon the thread, even if it is busy."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._compressor.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, job: Job) -> None:
        lane, model = self.lane, job.request.model
        log.info(
            "job %s: attempt %d with %s on %s (%s)",
            job.id,
            job.attempt,
            model,
            lane.name,
            lane.device,
        )
        self._running = running = Attempt(job, self._timeout)
        compressed = Compressed(self._compressor)
        if job.id in self._withdrawn:
            running.stop(StopReason.CANCELLED)
        self._report(job, Progress(Stage.STARTING))
        try:
            painting = await self._paint_patiently(running, compressed)
            self._report(job, Progress(Stage.SAVING))
            done = await self._keep(running, painting, compressed)
        except PaintStopped as stopped:
            await self._stopped(running, stopped.reason)
        except EngineLost as lost:
            await self._keep_trying(partial(self._store.lose, job, lost.loss), job)
            self._lose(lost)
        except UserError as error:
            log.info("job %s: %s", job.id, error)
            await self._fail(job, Failure.of(error))
        except Exception as error:
            prompts = (job.request.painted_prompt, job.request.prompt, job.request.negative)
            log.error("job %s: unexpected\n%s", job.id, traceback_without(error, prompts))
            await self._fail(job, Failure("job.unexpected", {"id": job.id}))
        else:
            if done is None:
                log.warning(
                    "job %s: attempt %d finished too late; result dropped", job.id, job.attempt
                )
                await self._discard_if_cancelled(job)
                return
            for notice in done.warnings:
                log.info("job %s: %s %s", job.id, notice.code, notice.params)
            log.info("job %s: done in %.1f s", job.id, done.seconds)
            self._queue.painted(done)
            self._notices.send(self._observer.finished(done))
        finally:
            self._running = None
            compressed.drop()

    async def _paint_patiently(self, running: Attempt, compressed: Compressed) -> Painting:
        """As `_paint`, and again for as long as PAUSES if files cannot be read at the moment.

        Raises JobFailed if they still cannot.
        """
        for pause in (*PAUSES, 0):
            try:
                return await self._paint(running, compressed)
            except OSError as error:
                if not may_pass(error):
                    raise
                fault = error
            log.error("job %s: a file cannot be read now: %s", running.job.id, fault)
            for _ in range(pause):
                await asyncio.sleep(1)
                running.check()
        raise JobFailed("job.files", reason=fault.strerror or type(fault).__name__)

    async def _paint(self, running: Attempt, compressed: Compressed) -> Painting:
        """Raises EngineLost if the engine thread hangs."""
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            running.heard(progress)
            loop.call_soon_threadsafe(self._report, running.job, progress)

        def work(catalog: Catalog) -> Painting:
            running.check()
            order = order_of(running.job.request, catalog, self._picture)
            return self._engine.paint(order, report, running.check, compressed.begin)

        catalog = await self._catalog_for(running)
        painting = loop.run_in_executor(self._thread, here(partial(work, catalog)))
        while not painting.done():
            await asyncio.wait([painting], timeout=WATCH)
            if not painting.done() and (why := running.hung()) is not None:
                raise EngineLost(Loss.HUNG, f"job {running.job.id}: {why}")
        return await painting

    async def _catalog_for(self, running: Attempt) -> Catalog:
        """As soon as it has what the job names, or every model file has been read."""
        request = running.job.request
        catalog = await self._catalog.knowing(*request.names)
        if catalog.unread and not knows(catalog, request):
            log.info("job %s: waiting until the model files are read", running.job.id)
        while catalog.unread and not knows(catalog, request):
            running.check()
            await asyncio.sleep(WATCH)
            catalog = self._catalog.current
        return catalog

    async def _keep(
        self, running: Attempt, painting: Painting, compressed: Compressed
    ) -> Job | None:
        """Save the images to disk and the result to the store, retrying until both succeed.

        Returns None if the job is no longer in this attempt. Raises PaintStopped if it is stopped
        while retrying.
        """
        job = running.job

        async def save() -> tuple[ImageRecord, ...]:
            try:
                return await asyncio.to_thread(
                    save_images, painting, job, self._images_dir, compressed.of
                )
            except OSError as error:
                raise files_error(self._images_dir, error) from error

        async def finish() -> Job | None:
            return await self._store.finish(job, painting.recipe, images, painting.warnings)

        what = f"job {job.id}: generated, but its result cannot be saved"
        images = await keep_trying(save, what, check=running.check_stop)
        return await keep_trying(finish, what, check=running.check_stop)

    async def _keep_trying(self, change: Callable[[], Awaitable[T]], job: Job) -> T:
        return await keep_trying(change, f"job {job.id}: its state cannot be saved")

    async def _quietly(self, change: Awaitable[object]) -> None:
        """Await `change`, only logging a StoreError: the next start recovers the job anyway."""
        try:
            await change
        except StoreError as error:
            log.error("%s", error)

    def _report(self, job: Job, progress: Progress) -> None:
        if self._running is not None and self._running.job.id == job.id:
            self._observe(self._observer.progressed, job, progress)

    def _observe(self, tell: Callable[..., None], *news: Any) -> None:
        """Call an observer without letting its errors stop the job."""
        try:
            tell(*news)
        except Exception:
            log.exception("an observer failed")

    async def _stopped(self, running: Attempt, reason: StopReason) -> None:
        job = running.job
        log.info("job %s: stopped (%s)", job.id, reason.value)
        match reason:
            case StopReason.SHUTDOWN:
                await self._quietly(self._store.requeue(job))
            case StopReason.TIMEOUT:
                await self._fail(job, Failure("job.timeout", {"seconds": round(running.seconds)}))
            case StopReason.CANCELLED:
                cancelled = await self._keep_trying(lambda: self._store.cancel(job), job)
                await self._discard_if_cancelled(job)
                if cancelled is not None:
                    self._notices.send(self._observer.failed(cancelled))

    async def _discard_if_cancelled(self, job: Job) -> None:
        """Housekeeping only prunes files that have rows in the store."""
        now = await self._keep_trying(lambda: self._store.job(job.id), job)
        if now.state is JobState.CANCELLED:
            await asyncio.to_thread(discard_images, job, self._images_dir)

    async def _fail(self, job: Job, failure: Failure) -> None:
        if failed := await self._keep_trying(lambda: self._store.fail(job, failure), job):
            self._notices.send(self._observer.failed(failed))
