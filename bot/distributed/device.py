"""Device: one device of a worker, which generates what it finds in its queue."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from redis import RedisError
from redis.asyncio import Redis
from saq import Job, Status
from saq.types import PartialTimersDict

from bot.distributed import keys
from bot.distributed.announcement import DeviceState
from bot.distributed.answers import Answer, failure_of, result_of
from bot.distributed.pace import Pace
from bot.distributed.running import Running
from bot.distributed.saq_parts import FUNCTION, DeviceQueue, DeviceWorker
from bot.distributed.transfers import Transfers
from bot.errors import EngineLost, Loss, NotHere, PaintStopped, StopReason, WireError
from bot.log import concerning, here
from bot.order import Order
from bot.painting import Painting, unheard
from bot.progress import Progress, Stage
from bot.recipe import environment_id
from bot.wire import reports
from bot.wire.orders import SentOrder
from bot.worker.attempt import seconds_for
from bot.worker.engine import ImageEngine

log = logging.getLogger(__name__)

POLL = 1.0
"""Seconds that the thread of SAQ's worker waits for a job before it looks whether to end."""
TIMERS = PartialTimersDict(schedule=60, worker_info=10, sweep=60, abort=1)
"""Seconds, of SAQ's worker. It neither schedules nor sweeps, see DeviceQueue."""
LEASE_MAX = 255
CLOSE_WITHIN = 3.0
"""Seconds, for the engine."""
ABORTING = Status.ABORTING.value.encode()


Complete = Callable[
    [Order, Callable[[Progress], None], Callable[[], None]],
    contextlib.AbstractContextManager[Order],
]


class Device:
    """Runs the orders of one queue, one at a time, in a thread of its own. One that cannot be read,
    or that a broker which was started again has lost, is given back as if this worker had to end.

    complete: gives an order the files of this machine, which stay there while its block lasts, and
    fetches what it lacks; called in the engine's thread, raises NotHere if it cannot. describe:
    what the device is now; any thread. timeout: see `bot.worker.attempt.seconds_for`. lost: is told
    when only a new process can generate again. idle_for: seconds without a job after which the
    device's memory is freed; None: never.
    loading: whether it is not ready for its first job yet.
    """

    def __init__(
        self,
        *,
        client: Redis,
        queue: str,
        engine: ImageEngine,
        describe: Callable[[], DeviceState],
        complete: Complete,
        timeout: float,
        pace: Pace,
        lost: Callable[[EngineLost], None],
        idle_for: float | None = None,
    ) -> None:
        self.engine = engine
        self._describe = describe
        self.leaving = self.loading = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._client = client
        self._queue = queue
        self._transfers = Transfers(client, queue, pace)
        self._complete = complete
        self._environment = ""
        self._timeout = timeout
        self._pace = pace
        self._lost = lost
        self._idle_for = idle_for
        self._resting: asyncio.TimerHandle | None = None
        self._running: Running | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"engine-{queue}")
        self._worker = DeviceWorker(
            DeviceQueue(client, queue),
            [(FUNCTION, self._job)],
            id=queue,
            concurrency=1,
            after_process=self._after,
            timers=TIMERS,
            dequeue_timeout=min(POLL, pace.silence / 4),
            cancellation_hard_deadline_s=pace.silence,
        )

    def state(self) -> DeviceState:
        """As it is now. Any thread; may wait for the driver."""
        busy = not self.idle.is_set()
        here = self.engine.environment
        return replace(
            self._describe(),
            environment=self._environment or here.machine,
            formats=here.formats,
            busy=busy,
            loading=self.loading,
        )

    def warm_up(self, preload: Callable[[], None]) -> None:
        """Call `preload` in the engine's thread, ahead of the first job; `loading` until it ends.
        What it raises is left to the first job."""

        def loaded(_: object) -> None:
            self.loading = False

        self.loading = True
        preloading = asyncio.get_running_loop().run_in_executor(self._thread, preload)
        preloading.add_done_callback(loaded)

    async def run(self) -> None:
        """Take jobs until cancelled."""
        await self._worker.start()

    def stop(self, reason: StopReason) -> None:
        """Stop the job that is running at its next step."""
        if self._running is not None:
            self._running.stop(reason)

    async def close(self) -> None:
        """Close the engine, and abandon its thread if it is busy."""
        if self._resting is not None:
            self._resting.cancel()
        closing = asyncio.get_running_loop().run_in_executor(self._thread, self.engine.close)
        await asyncio.wait([closing], timeout=CLOSE_WITHIN)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _job(self, context: dict[str, Any], previews: float | None = None) -> None:
        """SAQ's function. It returns nothing and raises nothing: the result has a key of its own,
        so that SAQ, which logs and rewrites its jobs, never has a prompt."""
        job: Job = context["job"]
        self.idle.clear()
        if self._resting is not None:
            self._resting.cancel()
        await self._handle(job, previews)

    async def _after(self, _: dict[str, Any]) -> None:
        """Only now is it over for SAQ: a job that is interrupted before would be queued again."""
        self.idle.set()
        if self._idle_for is not None:
            loop = asyncio.get_running_loop()
            rest = partial(loop.run_in_executor, self._thread, self.engine.rest)
            self._resting = loop.call_later(self._idle_for, rest)

    async def _handle(self, job: Job, previews: float | None) -> None:
        sent = await self._transfers.order(job.key)
        if isinstance(sent, SentOrder) and not self.leaving:
            with concerning(sent.name.partition(":")[0]):
                await self._run(job, sent, previews)
        elif isinstance(sent, SentOrder):
            await self._transfers.leave(job.key, failure_of(PaintStopped(StopReason.SHUTDOWN)))
        else:
            await self._transfers.leave(job.key, sent)

    async def _run(self, job: Job, sent: SentOrder, previews: float | None) -> None:
        """Generate it and hand over the result, with signs of life from beginning to end."""
        self._running = running = Running(seconds_for(sent.request, self._timeout))
        telling = asyncio.create_task(self._tell(job, running))
        listening = asyncio.create_task(self._listen(job, running))
        work = asyncio.create_task(self._work(job.key, sent, previews, running))
        try:
            while not work.done():
                try:
                    await asyncio.wait([work])
                except asyncio.CancelledError:
                    # SAQ aborts it. The engine stops at its next step, and until then it is busy.
                    running.stop(StopReason.CANCELLED)
            work.result()
        finally:
            self._running = None
            running.end()
            # SAQ finishes the job next. An update that came after that would make it active again.
            await telling
            listening.cancel()
            await asyncio.wait([listening])

    async def _work(
        self, job: str, sent: SentOrder, previews: float | None, running: Running
    ) -> None:
        answer = await self._outcome(sent, previews, running)
        if answer is not None and answer.images:
            answer = await self._transfers.hand_over(job, answer, running)
        if answer is not None:
            await self._transfers.leave(job, answer)

    async def _outcome(
        self, sent: SentOrder, previews: float | None, running: Running
    ) -> Answer | None:
        """What to answer; None if nobody waits for it any more."""
        try:
            order = await self._transfers.with_pictures(sent, running)
            self.engine.preview_interval = previews
            log.info("attempt %s begins", sent.name)
            painting = await self._paint(order, running)
            self._environment = environment_id(painting.recipe.environment)
            return result_of(painting)
        except PaintStopped as stopped:
            log.info("attempt %s: stopped (%s)", sent.name, stopped.reason.value)
            # Whoever cancelled it knows; the others have to be told.
            return None if stopped.reason is StopReason.CANCELLED else failure_of(stopped)
        except EngineLost as error:
            log.error("%s", error)
            if error.loss is not Loss.WORKER and not self.engine.renew():
                self.leaving = True
                self._lost(error)
            return failure_of(error)
        except RedisError as error:
            log.warning("attempt %s: given back: %s", sent.name, type(error).__name__)
            return failure_of(PaintStopped(StopReason.SHUTDOWN))
        except WireError as error:
            log.error("attempt %s: it cannot be had: %s", sent.name, error)
            return failure_of(EngineLost(Loss.WORKER, str(error), sure=False))
        except NotHere as error:
            log.warning("attempt %s: its files are not here: %s", sent.name, error)
            return failure_of(error)
        except Exception as error:
            return failure_of(error, sent.request.texts)

    async def _paint(self, order: Order, running: Running) -> Painting:
        """Raises what the engine raises, and EngineLost if it hangs."""
        loop = asyncio.get_running_loop()

        def report(progress: Progress) -> None:
            running.heard(progress)
            running.latest = progress
            loop.call_soon_threadsafe(running.news.set)

        def work() -> Painting:
            running.begin()
            running.check()
            report(Progress(Stage.STARTING))
            with self._complete(order, report, running.check) as complete:
                return self.engine.paint(complete, report, running.check, unheard)

        painting = loop.run_in_executor(self._thread, here(partial(work)))
        while not painting.done():
            await asyncio.wait([painting], timeout=self._pace.beat)
            if not painting.done() and (why := running.hung()) is not None:
                raise EngineLost(Loss.HUNG, f"attempt {order.name}: {why}")
        return painting.result()

    async def _tell(self, job: Job, running: Running) -> None:
        """Report, at most every `refresh`, that the job is alive and how far it is, and stop it
        when nobody waits for it any more. One report at a time; the latest wins."""
        pace, beat = self._pace, 0
        heard = leased = time.monotonic()
        while not running.ended.is_set():
            try:
                holder = await self._client.getrange(keys.lease(self._queue), 0, LEASE_MAX)
                if holder == job.key.encode():
                    leased = time.monotonic()
                # A broker that was started again knows of no lease until the bot renews it.
                elif holder or time.monotonic() - leased > 2 * pace.beat:
                    log.info("nobody waits for the job any more")
                    running.stop(StopReason.CANCELLED)
                    return
                beat += 1
                await self._report(job, running, beat)
                heard = time.monotonic()
            except RedisError as error:
                log.warning("the broker cannot be reached: %s", type(error).__name__)
                # The bot could not renew it either, and may take as long to notice that it can.
                leased = time.monotonic() + pace.silence - 2 * pace.beat
                if time.monotonic() - heard > pace.silence:
                    running.stop(StopReason.CANCELLED)
                    return
            for event, seconds in (
                (running.ended, pace.refresh),
                (running.news, pace.beat - pace.refresh),
            ):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await event.wait()

    async def _listen(self, job: Job, running: Running) -> None:
        """Stop the job as soon as SAQ says that it is aborted. `_tell` sees it too, later."""
        channel = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            while not running.ended.is_set():
                try:
                    await channel.subscribe(job.id)
                    message = await channel.get_message(timeout=self._pace.beat)
                except RedisError:
                    await asyncio.sleep(self._pace.refresh)
                    continue
                if message is not None and message["data"] == ABORTING:
                    running.stop(StopReason.CANCELLED)
        finally:
            with contextlib.suppress(RedisError):
                await channel.aclose()  # type: ignore[no-untyped-call]

    async def _report(self, job: Job, running: Running, beat: int) -> None:
        """Every report is told until there is a newer one: none is missed that was the last."""
        latest = running.latest
        running.news.clear()
        meta: dict[str, Any] = {**job.meta, "beat": beat}
        if latest is not None and latest is not running.told:
            report, preview = reports.encode(latest)
            if preview:
                key = keys.preview(job.key)
                await self._client.set(key, preview, px=self._pace.kept_ms)
                meta["preview"] = beat
            meta |= {"report": report.decode(), "reported": beat}
        await job.update(meta=meta)
        running.told = latest
