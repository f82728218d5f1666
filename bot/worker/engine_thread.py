"""EngineThread: the thread that a lane's engine is called in, and what becomes of a lost engine."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

from bot.backoff import Backoff
from bot.errors import EngineLost, Loss, PaintStopped, StopReason, UserError
from bot.log import here
from bot.queue import JobQueue, Lane
from bot.store import Job
from bot.worker.engine import ImageEngine
from catalog import LiveCatalog

log = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN = Backoff(0, 1, 5, 15, 60, 300)
"""Seconds before another engine is started, by how many were lost since one has worked."""
STARTING: Final = 300.0
"""Seconds within which an engine must have imported its libraries and found its device."""
LOADING: Final = 1800.0
"""Seconds within which it must have loaded the default model, or freed the GPU's memory."""
PATIENCE: Final = 30.0
"""Seconds within which a call must end whose engine was given up."""


class EngineThread:
    """One engine in one thread.

    lost: called in the event loop once only a new process can generate again.
    """

    def __init__(
        self,
        lane: Lane,
        queue: JobQueue,
        engine: ImageEngine,
        catalog: LiveCatalog,
        lost: Callable[[EngineLost], None],
    ) -> None:
        self._lane = lane
        self._queue = queue
        self._engine = engine
        self._catalog = catalog
        self._tell_lost = lost
        self._losses = 0
        self._lost_beside: EngineLost | None = None
        self._stopping = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{lane.name}")

    def warm_up(self) -> asyncio.Future[None]:
        """Load torch and the default model, ahead of the first job. The future ends when that has,
        whether or not it could be done, or is given up."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._guarded, loop, partial(self._preload, loop))

    def rest(self) -> None:
        """Free the GPU's memory once the current job is done."""
        loop = asyncio.get_running_loop()
        rest = partial(self._within, loop, LOADING, self._engine.rest)
        loop.run_in_executor(self._thread, self._guarded, loop, rest)

    def prefetch(self, job: Job) -> None:
        """Read the files that a waiting job needs from disk. Blocks; call it in another thread."""
        known, names = self._catalog.current.adapters, job.request.names
        self._engine.prefetch([known[key] for key in names if key in known])

    def call(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run `work` once what was asked for before is done. It raises EngineLost instead, with
        which `work` has nothing to do, if the engine was lost meanwhile."""
        called = here(partial(self._called, work))
        return asyncio.get_running_loop().run_in_executor(self._thread, called)

    def stop(self) -> None:
        """Give up loading the default model."""
        self._stopping = True

    def close(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)

    def shut_down(self) -> None:
        """Abandon the thread, even if it is busy, and end an engine elsewhere that has not closed:
        one that is stuck in its driver would keep its card's memory."""
        self._engine.renew()
        self._thread.shutdown(wait=False, cancel_futures=True)

    # Losing the engine

    def worked(self) -> None:
        """It has generated something: what was lost before says nothing about the next loss."""
        self._losses = 0

    @property
    def has_others(self) -> bool:
        """Whether there are other lanes, which jobs can go to."""
        return len(self._queue.lanes) > 1

    def has_files_elsewhere(self, job: Job) -> bool:
        """Whether any lane has what `job` needs, which this one does not."""
        return self._queue.has_files_for(job)

    async def give_up(self, lost: EngineLost, call: asyncio.Future[T] | None = None) -> bool:
        """After EngineLost or while it hangs: give the engine up, and the lane with it until
        `ready`. Returns whether it can be replaced within this process, or is not broken: then
        `lost` is innocent.

        call: what is still running in it; it ends, or the thread is lost with the engine.
        """
        if not self._engine.renew() and not lost.innocent:
            return False
        self._queue.lose(self._lane, lost=True)
        self._losses += 1
        if call is not None:
            await asyncio.wait([call], timeout=PATIENCE)
            if not call.done():
                log.critical("%s: a call does not end although its engine has", self._lane.name)
                return False
            with suppress(asyncio.CancelledError):
                call.exception()  # so that it is not reported as never looked at
        return True

    async def ready(self) -> bool:
        """Wait until there is an engine; at once, unless it was given up. Returns False if it is to
        stop instead.

        Errors other than another loss are left to the next job, which tells its person of them;
        but where there are other lanes, jobs go to those, and this one is tried again.
        """
        while self._lane.lost and not self._stopping:
            seconds = AGAIN.after(self._losses - 1)
            log.warning("%s: starting another engine in %.0f s", self._lane.name, seconds)
            await asyncio.sleep(seconds)
            loop = asyncio.get_running_loop()
            start = partial(self._within, loop, STARTING, self._warm_up)
            self._lost_beside = None
            try:
                await loop.run_in_executor(self._thread, start)
            except EngineLost as error:
                log.error("%s: its new engine was lost at once: %s", self._lane.name, error)
                self._losses += 1
                if not self._engine.renew():
                    self._tell_lost(error)
                continue
            except Exception as error:
                known = isinstance(error, UserError)
                log.error("%s: cannot be used: %s", self._lane.name, error, exc_info=not known)
                if self.has_others:
                    self._losses += 1
                    self._engine.renew()
                    continue
            self._queue.lose(self._lane, lost=False)
            log.info("%s: ready again", self._lane.name)
        return not self._stopping

    # In the thread

    def _called(self, work: Callable[[], T]) -> T:
        if (lost := self._lost_beside) is not None:
            self._lost_beside = None
            raise EngineLost(lost.loss, str(lost), innocent=True)
        try:
            return work()
        finally:
            self._measure()

    def _measure(self) -> None:
        """Note how much memory the GPU has. Only one that has been used is asked."""
        if self._lane.memory is None:
            try:
                self._lane.memory = self._engine.gpu_memory().get("total")
            except Exception:
                log.exception("%s: the GPU's memory is not known", self._lane.name)

    def _warm_up(self) -> None:
        self._engine.warm_up()
        if self._engine.environment.machine:
            # From now on, the queue knows where to repeat what was generated in such a one.
            self._lane.environment = self._engine.environment

    def _preload(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._within(loop, STARTING, self._warm_up)
            catalog = self._catalog.current
            if model := catalog.models.get(catalog.default):
                preload = partial(self._engine.preload, model, self._check_stopping)
                self._within(loop, LOADING, preload)
        except PaintStopped:
            log.info("stopped while the default model was loading")
        except EngineLost:
            raise
        except UserError as error:
            log.warning("the default model cannot be loaded: %s", error)
        except Exception:
            log.exception("the default model cannot be loaded")

    def _check_stopping(self) -> None:
        if self._stopping:
            raise PaintStopped(StopReason.SHUTDOWN)

    def _within(
        self, loop: asyncio.AbstractEventLoop, seconds: float, work: Callable[[], None]
    ) -> None:
        """Do what no job waits for. After so many seconds the engine is given up, which ends the
        work of one that can be replaced with EngineLost."""
        over, ending = False, threading.Lock()

        def give_up() -> None:
            with ending:  # or the engine would be taken from a job that has begun
                if not over:
                    hung = EngineLost(
                        Loss.HUNG, f"{self._lane.name}: not ready within {seconds:.0f} s"
                    )
                    log.error("%s", hung)
                    self._replace(loop, hung)

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            work()
        finally:
            timer.cancel()
            with ending:
                over = True

    def _guarded(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        """Do what no job waits for. An engine that is lost meanwhile is replaced before the next
        call, and blamed on no job."""
        try:
            work()
        except EngineLost as error:
            log.warning("%s: %s", self._lane.name, error)
            self._lost_beside = error
            self._replace(loop, error)
        except Exception:
            log.exception("%s: the engine failed", self._lane.name)

    def _replace(self, loop: asyncio.AbstractEventLoop, lost: EngineLost) -> None:
        """In any thread."""
        if not self._engine.renew():
            loop.call_soon_threadsafe(self._tell_lost, lost)
