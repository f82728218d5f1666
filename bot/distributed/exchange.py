"""Exchange: one order, from the bot through the broker to a worker, and its result back."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from saq import Job, Status
from saq.job import TERMINAL_STATUSES

from bot.distributed import answers, keys
from bot.distributed.access import is_wrong_type
from bot.distributed.pace import Pace
from bot.distributed.patience import BORNE, Patience
from bot.distributed.pieces import NotKept, Pieces
from bot.distributed.saq_parts import FUNCTION, HEARTBEAT, DeviceQueue
from bot.errors import EngineLost, Loss, PaintStopped, StopReason, WireError
from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import UNLIMITED, Progress, Stage
from bot.texts.language import Texts
from bot.wire import orders, paintings, reports
from bot.wire.expected import Expected
from bot.wire.paintings import CHANNELS, SentPainting

T = TypeVar("T")

log = logging.getLogger(__name__)

LOOK: Final = 0.1
"""Seconds between two looks at whether the job is to be stopped."""
ABORT_AGAIN: Final = 1.0
"""Seconds. An abort can be lost: a report of the worker's that overlaps with it overwrites it."""
LOOKS_APART: Final = 0.02
"""Seconds between two looks, however many hints there are."""
HINTS_MAX: Final = 100
"""At once. SAQ tells of every report, and a worker makes a few in a second."""
TOLD_AFTER: Final = 1.0
"""Seconds that a transfer may take before people are told of it."""


class Exchange:
    """One order is in a worker's queue at a time. Whoever waits for it holds the lease of that
    queue, a key that expires: a worker that finds it gone, or another's, stops. So of every job at
    most one machine's result is wanted, whatever becomes of the bot, the worker or the broker.

    hints: returns what tells that something has happened in the queue, see `hints_of`. texts: what
    a worker wants people to be told must be one of them. why_lost: why the worker is given up; None
    if it is not. previews: seconds between two previews; None for none. expected: of the recipe;
    None: it may name any weights.
    """

    def __init__(
        self,
        *,
        client: Redis,
        hints: Callable[[], Awaitable[PubSub]],
        queue: str,
        order: Order,
        texts: Texts,
        pace: Pace,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        why_lost: Callable[[], str | None],
        previews: float | None,
        expected: Expected | None = None,
    ) -> None:
        self._client = client
        self._get_hints = hints
        self._hints: PubSub | None = None
        self._queue = queue
        self._saq = DeviceQueue(client, queue)
        self._order = order
        self._texts = texts
        self._pace = pace
        self._report = report
        self._check_stop = check_stop
        self._why_given_up = why_lost
        self._expected = expected
        self._job = Job(
            FUNCTION,
            kwargs={"previews": previews},
            queue=self._saq,
            # Never the same twice: SAQ refuses the key of a job that was just aborted.
            key=keys.job(queue, order.name, secrets.token_hex(4)),
            timeout=0,
            heartbeat=HEARTBEAT,
            retries=1,
            ttl=int(pace.kept),
        )
        self._stop: Exception | None = None
        self._aborted_at = self._leased_at = 0.0
        self._heard_at = time.monotonic()
        self._cut_off = self._taken = self._transfers = False
        self._patience = Patience()
        self._seen: object = None
        self._reported: object = None

    async def run(self, painted: OnPainted) -> Painting:
        """Raises what `check_stop` raises, what the engine raised there, and EngineLost."""
        try:
            await self._send()
            self._heard_at = time.monotonic()
            answer = await self._wait()
            return await self._fetch(answer, painted)
        except WireError as error:
            raise refused(f"the worker sent what is refused: {error}") from error
        finally:
            await self._clean_up()

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call as long as the broker cannot be reached, and that may pass."""
        begin = time.monotonic()
        while True:
            try:
                return await call()
            except RedisError as error:
                self._note(error)
                if (why := self._why_given_up()) is not None:
                    raise self._lost(why) from error
                if time.monotonic() - begin > self._pace.patience:
                    reason = type(error).__name__
                    raise self._lost(f"the broker cannot be reached ({reason})") from error
            self._check_stop()
            await asyncio.sleep(LOOK)

    def _note(self, error: RedisError) -> None:
        """Raises WireError if it is the worker's doing, not that of the way to the broker."""
        if is_wrong_type(error):
            raise WireError("a key has not the type that it should have") from error
        self._cut_off = True

    async def _send(self) -> None:
        begin = time.monotonic()

        def moved(fraction: float) -> None:
            self._check_stop()
            if (why := self._why_given_up()) is not None:
                raise self._lost(why)
            self._tell(Stage.SENDING, fraction, begin)

        pictures = self._order.pictures.items()
        sent = {keys.picture(self._queue, sha256): data for sha256, data in pictures}
        try:
            await self._pieces().upload(sent, moved)
        except NotKept as error:
            raise self._lost(str(error)) from error
        await self._insist(self._enqueue)

    async def _enqueue(self) -> None:
        job, kept = self._job, self._pace.kept_ms
        self._hints = await self._get_hints()
        await self._client.set(keys.order(job.key), orders.encode(self._order), px=kept)
        await self._lease(job.key)
        # It may be there already, if the answer to an earlier try was lost on the way.
        await self._saq.enqueue(job)

    def _pieces(self) -> Pieces:
        return Pieces(self._client, self._pace, self._insist)

    def _tell(self, stage: Stage, fraction: float, begin: float) -> None:
        """How far a transfer is that began at `begin`, if it takes long."""
        if time.monotonic() - begin > TOLD_AFTER:
            self._report(Progress(stage, fraction=fraction))

    async def _wait(self) -> SentPainting:
        while True:
            await self._look()
            if (why := self._why_lost()) is not None:
                await self._abort()
                raise self._end(why)
            now = time.monotonic()
            try:
                if self._stop is None and now - self._leased_at > self._pace.beat:
                    await self._lease(self._job.key)
                if self._stop is not None and now - self._aborted_at > ABORT_AGAIN:
                    await self._abort()
                answer = await self._answer()
            except RedisError as error:
                self._note(error)
                continue  # until it counts as lost
            if answer is not None:
                return self._read(answer)

    async def _look(self) -> None:
        """Wait for LOOK, or until something has happened there.

        Raises WireError for more hints than there can be: reading them takes the bot's time.
        """
        if self._stop is None:
            try:
                self._check_stop()
            except Exception as stop:
                self._stop = stop
                return
        begin, heard = time.monotonic(), 0
        # Without hints it takes longer, no more.
        with contextlib.suppress(RedisError):
            wait = LOOK
            while self._hints and await self._hints.get_message(timeout=wait) is not None:
                heard, wait = heard + 1, 0.0
                if heard > HINTS_MAX:
                    raise WireError(f"hints: more than {HINTS_MAX} at once")
        pause = LOOKS_APART if heard else LOOK
        await asyncio.sleep(max(0.0, begin + pause - time.monotonic()))

    def _why_lost(self) -> str | None:
        if (why := self._why_given_up()) is not None:
            return why
        if time.monotonic() - self._heard_at > self._pace.silence:
            return f"nothing was heard of the worker for {self._pace.silence:g} s"
        if self._patience.is_over:
            return f"a download or another transfer has not got on for {BORNE:g} s"
        return None

    async def _answer(self) -> bytes | None:
        """What the worker has left; None as long as it is at it. Passes on its reports."""
        if data := await self._result():
            return data
        job = await self._saq.job(self._job.key)
        if job is None:
            return None
        seen = (job.status, job.started, job.meta.get("beat"))
        if seen != self._seen:
            self._seen, self._heard_at = seen, time.monotonic()
            self._taken = self._taken or job.status is not Status.QUEUED
            await self._pass_on(job)
        if job.status not in TERMINAL_STATUSES:
            return None
        # The result is there before the end, if there is any.
        if data := await self._result():
            return data
        raise self._stop or self._lost(f"the worker left no result ({job.status.value})")

    def _end(self, why: str) -> Exception:
        """What is raised when the worker is given up. That its lane goes as well says nothing of
        what became of the job."""
        stop = self._stop
        leaves = isinstance(stop, PaintStopped) and stop.reason is StopReason.SHUTDOWN
        return self._lost(why) if stop is None or leaves else stop

    def _lost(self, why: str) -> EngineLost:
        """A job that the worker has not taken has not ended it; nor has one of which something was
        under way, or that ran while the broker was away, as far as anybody can tell."""
        if self._patience.is_over:
            return GivenBack(Loss.WORKER, why, sure=False, innocent=True)
        return lost(why, innocent=self._cut_off or self._transfers or not self._taken)

    async def _result(self) -> bytes:
        key = keys.result(self._job.key)
        data: bytes = await self._client.getrange(key, 0, answers.ANSWER_MAX)
        return data

    async def _pass_on(self, job: Job) -> None:
        report, number = job.meta.get("report"), job.meta.get("reported")
        if self._stop is not None or not isinstance(report, str) or number == self._reported:
            return
        self._reported, preview = number, b""
        if job.meta.get("preview") == number:
            key = keys.preview(self._job.key)
            preview = await self._client.getrange(key, 0, reports.PREVIEW_MAX)
        progress = reports.decode(report.encode(), preview)
        self._transfers = progress.stage in UNLIMITED
        self._patience.heard(progress)
        self._report(progress)

    def _read(self, data: bytes) -> SentPainting:
        if self._stop is not None:
            raise self._stop
        try:
            answer = answers.read(data, self._order.request, self._texts)
            if self._expected is not None:
                self._expected.check(answer.recipe)
            return answer
        except PaintStopped as stopped:
            if stopped.reason is StopReason.TIMEOUT:
                raise
            why = "the worker gave the job back"
            raise GivenBack(Loss.WORKER, why, sure=False, innocent=True) from stopped

    async def _fetch(self, answer: SentPainting, painted: OnPainted) -> Painting:
        """The images. Each is checked before it is passed on."""
        images, pieces, begin = {}, self._pieces(), time.monotonic()
        count = len(answer.images)
        names = [keys.image(self._job.key, number) for number in range(count)]

        def moved(number: int, fraction: float) -> None:
            self._check_stop()
            self._tell(Stage.RECEIVING, (number + fraction) / count, begin)

        for number, header in enumerate(answer.images):
            self._check_stop()
            size = header.width * header.height * CHANNELS
            pixels = await pieces.download(
                names[number], size, partial(moved, number), renewing=names[number:]
            )
            image = paintings.decode_image(header, pixels)
            images[header.pixels_sha256] = image
            painted(image)
        return answer.with_images(images)

    async def _lease(self, holder: str) -> None:
        await self._client.set(keys.lease(self._queue), holder, px=self._pace.silence_ms)
        self._leased_at = time.monotonic()

    async def _abort(self) -> None:
        """Have the worker stop it at its next step."""
        self._aborted_at = time.monotonic()
        try:
            await self._lease(keys.NOBODY)
            await self._saq.abort(self._job, "stopped")
        except RedisError as error:
            log.warning("the worker cannot be told to stop: %s", type(error).__name__)

    async def _clean_up(self) -> None:
        """What this leaves behind expires, so it may fail."""
        key, order = self._job.key, self._order
        images = (keys.image(key, number) for number in range(order.request.count))
        inputs = (keys.picture(self._queue, sha256) for sha256 in order.pictures)
        with contextlib.suppress(RedisError):
            await self._client.delete(
                keys.order(key), keys.result(key), keys.preview(key), *images, *inputs
            )


async def hints_of(client: Redis, queue: str) -> PubSub:
    """What SAQ tells of the jobs of a queue. Nothing is decided by it: it may be late, or lost."""
    hints = client.pubsub(ignore_subscribe_messages=True)
    await hints.psubscribe(f"saq:job:{queue}:*")
    return hints


class Refused(EngineLost):
    """The worker sent what is none of what it may send."""


class GivenBack(EngineLost):
    """The worker did not want the job, or not to its end, which is no fault of the job."""


def refused(why: str) -> Refused:
    return Refused(Loss.WORKER, why, sure=False)


def lost(why: str, *, innocent: bool = False) -> EngineLost:
    """The worker, or the way to it: nothing that the job is surely to blame for. innocent: surely
    not even that."""
    return EngineLost(Loss.WORKER, why, sure=False, innocent=innocent)
