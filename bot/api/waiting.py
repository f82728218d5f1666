"""A caller who waits for a job within one call: whether they are still there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive

from bot.progress import Progress
from bot.worker.following import Feed

T = TypeVar("T")

PING: Final = 15.0
"""Seconds without news after which a stream says STILL_THERE."""
STILL_THERE: Final = ": waiting\n\n"
"""A comment, which clients skip, so that nothing on the way takes the connection for dead."""


class HungUp(Exception):
    """The caller has closed the connection."""


async def hung_up(receive: Receive) -> None:
    """Return once the caller has closed the connection. The body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, but only as long as the caller is there. Raises HungUp."""
    working, gone = asyncio.create_task(work), asyncio.create_task(hung_up(request.receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise HungUp
    finally:
        working.cancel()
        gone.cancel()


class EventStream(StreamingResponse):
    """Server-Sent Events. on_hung_up: awaited if the caller closes the connection before the end.

    A server that ends closes it, too, but that is not the caller's wish.
    """

    def __init__(
        self,
        events: AsyncIterator[str | bytes],
        on_hung_up: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(
            events,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._on_hung_up = on_hung_up

    async def listen_for_disconnect(self, receive: Receive) -> None:
        await hung_up(receive)
        if self._on_hung_up is not None:
            await self._on_hung_up()


async def news_of(feed: Feed) -> AsyncIterator[Progress | None]:
    """A job's reports until it has ended; None after PING seconds without one."""
    waiting = asyncio.ensure_future(feed.next())
    try:
        while True:
            await asyncio.wait({waiting}, timeout=PING)
            if not waiting.done():
                yield None
            elif (news := waiting.result()) is None:
                return
            else:
                waiting = asyncio.ensure_future(feed.next())
                yield news
    finally:
        waiting.cancel()
