"""Transfers: what a worker's device fetches from the broker for an order, and brings there."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from redis import RedisError
from redis.asyncio import Redis

from bot.distributed import keys
from bot.distributed.answers import Answer, failure_of
from bot.distributed.pace import Pace
from bot.distributed.pieces import Insist, Pieces
from bot.distributed.running import Running
from bot.errors import EngineLost, Loss, PaintStopped, StopReason, WireError
from bot.order import Order
from bot.progress import Stage
from bot.wire import orders
from bot.wire.orders import PICTURE_MAX, SentOrder

T = TypeVar("T")

log = logging.getLogger(__name__)

ORDER_MAX: Final = 2**20
"""Bytes of an order without its pictures."""


class Transfers:
    """Of one queue."""

    def __init__(self, client: Redis, queue: str, pace: Pace) -> None:
        self._client = client
        self._queue = queue
        self._pace = pace

    async def order(self, job: str) -> SentOrder | Answer:
        """The order, or why there is none."""
        try:
            data = await self._client.getrange(keys.order(job), 0, ORDER_MAX)
            if not data:
                log.warning("an order has gone from the broker; it is given back")
                return failure_of(PaintStopped(StopReason.SHUTDOWN))
            return orders.decode(data)
        except RedisError as error:
            log.warning("an order cannot be read (%s); it is given back", type(error).__name__)
            return failure_of(PaintStopped(StopReason.SHUTDOWN))
        except WireError as error:
            log.error("an order was refused: %s", error)
            return failure_of(EngineLost(Loss.WORKER, str(error), sure=False))

    async def with_pictures(self, sent: SentOrder, running: Running) -> Order:
        """Raises PaintStopped if it is to stop, or a picture has gone; RedisError if the broker
        cannot be reached, and WireError."""
        pictures, insist = {}, self._insisting(running.check_stop)
        pieces = Pieces(self._client, self._pace, insist)
        shas = tuple(dict.fromkeys(sent.request.inputs))
        names = [keys.picture(self._queue, sha256) for sha256 in shas]
        for number, sha256 in enumerate(shas):
            size = await insist(partial(self._client.strlen, names[number]))
            moved = partial(running.moved, Stage.SENDING)
            pictures[sha256] = await pieces.download(
                names[number], min(size, PICTURE_MAX + 1), moved, renewing=names[number:]
            )
            if not pictures[sha256]:
                log.warning("a picture has gone from the broker; the order is given back")
                raise PaintStopped(StopReason.SHUTDOWN)
        return await asyncio.to_thread(sent.with_pictures, pictures)

    async def hand_over(self, job: str, answer: Answer, running: Running) -> Answer | None:
        """Bring the images to the broker, however long it takes. Returns what is then to be left:
        what was to be, or that the job is given back; None if nobody waits for it any more."""
        images = {keys.image(job, number): pixels for number, pixels in enumerate(answer.images)}
        pieces = Pieces(self._client, self._pace, self._insisting(running.check_stop))
        moved = partial(running.moved, Stage.RECEIVING)
        try:
            moved(0.0)
            await pieces.upload(images, moved)
        except PaintStopped as stopped:
            log.info("the images are not handed over: %s", stopped.reason.value)
            cancelled = stopped.reason is StopReason.CANCELLED
            instead = None if cancelled else failure_of(stopped)
        except RedisError as error:
            log.warning("the images cannot be handed over: %s", type(error).__name__)
            instead = failure_of(PaintStopped(StopReason.SHUTDOWN))
        else:
            return answer
        with contextlib.suppress(RedisError):  # else it expires
            for key in images:
                await self._client.expire(key, 0)
        return instead

    async def leave(self, job: str, answer: Answer) -> None:
        """Leave it for the bot. Its images are there already, or it names what is not."""
        key, kept = keys.result(job), self._pace.kept_ms
        try:
            await self._insisting(lambda: None)(
                partial(self._client.set, key, answer.data, px=kept)
            )
        except RedisError as error:
            log.error("the result cannot be handed over: %s", type(error).__name__)

    def _insisting(self, check: Callable[[], None]) -> Insist:
        """Tries again for as long as the bot may be waiting, and `check` raises nothing."""

        async def insist(call: Callable[[], Awaitable[T]]) -> T:
            until = time.monotonic() + self._pace.patience
            while True:
                try:
                    return await call()
                except RedisError:
                    if time.monotonic() > until:
                        raise
                check()
                await asyncio.sleep(self._pace.refresh)

        return insist
