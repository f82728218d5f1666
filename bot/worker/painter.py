"""Painter: generates one request within an attempt, in the lane's engine thread."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bot.errors import EngineLost, JobFailed, Loss, NotHere
from bot.order import knows, order_of
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from bot.request import GenerationRequest
from bot.store import Job
from bot.worker.attempt import Attempt
from bot.worker.comparing import Adapt
from bot.worker.engine import ImageEngine
from bot.worker.engine_thread import EngineThread
from catalog import Catalog, LiveCatalog
from catalog.disk import may_pass

log = logging.getLogger(__name__)

PAUSES = (1, 2, 5, 10, 20)
"""Seconds before trying again when files cannot be read at the moment: too many are open, or a disk
or share is away."""
NO_DEVICE = ("device.absent", "device.unsupported")
"""The reasons for which a job fails whose lane has no device (any more), or none that torch can
use."""
WATCH = 1.0
"""Seconds between two checks for a hung engine."""


class Painter:
    """Of one lane.

    picture: reads the PNG file stored under a sha256, see `order_of`. report: is told of progress,
    in the event loop.
    call: the latest one of the engine; it may still be running after EngineLost.
    """

    def __init__(
        self,
        thread: EngineThread,
        engine: ImageEngine,
        catalog: LiveCatalog,
        picture: Callable[[str], bytes],
        report: Callable[[Job, Progress], None],
    ) -> None:
        self.call: asyncio.Future[Painting] | None = None
        self._thread = thread
        self._engine = engine
        self._catalog = catalog
        self._picture = picture
        self._report = report

    async def paint(
        self, running: Attempt, request: GenerationRequest, adapt: Adapt, each: OnPainted
    ) -> Painting:
        """Generate `request`, which is the job's or one cell of it, and try again for as long as
        PAUSES if files cannot be read at the moment.

        adapt: changes each report. each: is told of each image. Both are called in the engine
        thread. Raises JobFailed if files still cannot be read, what the engine raises, and
        EngineLost if it hangs, or has no device while other lanes may have one. What it has not the
        files for is NotHere only if another lane has them, or this one will soon.
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
        loop = asyncio.get_running_loop()
        # Each call has a name of its own, so that an engine elsewhere can tell them apart.
        name = running.next_name()

        def report(progress: Progress) -> None:
            running.heard(progress)
            loop.call_soon_threadsafe(self._report, running.job, adapt(progress))

        begun = threading.Event()

        def work(catalog: Catalog) -> Painting:
            begun.set()
            running.waited(time.monotonic() - asked)
            running.check()
            order = replace(order_of(request, catalog, self._picture), name=name)
            return self._engine.paint(order, report, running.check, each)

        catalog = await self._catalog_for(running, request)
        asked = time.monotonic()
        self.call = call = self._thread.call(partial(work, catalog))
        while not call.done():
            await asyncio.wait([call], timeout=WATCH)
            working = begun.is_set() and not call.done()
            if working and (why := running.hung()) is not None:
                raise EngineLost(Loss.HUNG, f"job {running.job.id}: {why}")
        try:
            painting = await call
        except JobFailed as failed:
            if failed.code in NO_DEVICE and self._thread.has_others:
                raise EngineLost(Loss.DEVICE, str(failed), innocent=True) from failed
            raise
        except NotHere as missing:
            if missing.failure and not self._thread.has_files_elsewhere(running.job):
                raise missing.failure from missing
            raise
        self._thread.worked()
        return painting

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
