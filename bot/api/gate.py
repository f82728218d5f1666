"""Gate: whose body is read, and how much of it, before a byte of it has been."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Request
from starlette.types import Message, Receive

from bot.api.callers import Callers
from bot.api.errors import BodyTooLarge, TooBusy, TooManyCalls

LARGE_MAX: Final = 64 * 2**20
"""Bytes of a body that may bring images: two of 20 MB in base64."""
SMALL_MAX: Final = 2**20
"""Bytes of any other."""
UNCOUNTED: Final = 2**16
"""Bytes of a body that is read whatever else is."""
TOTAL_MAX: Final = 256 * 2**20
"""Bytes of bodies that are read or being worked on at once; half of it by one caller. Each may take
three times as much memory."""

WITH_IMAGES: Final = (
    "/generate",
    "/compare",
    "/upscale",
    "/describe",
    "/images",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/sdapi/v1/txt2img",
    "/sdapi/v1/img2img",
    "/sdapi/v1/extra-single-image",
    "/sdapi/v1/extra-batch-images",
    "/sdapi/v1/png-info",
    "/sdapi/v1/interrogate",
    "/controlnet/detect",
)


def most_for(path: str) -> int:
    """Bytes that a body sent to `path` may have."""
    return LARGE_MAX if path.rstrip("/") in WITH_IMAGES else SMALL_MAX


class Gate:
    """Reads no body of someone who may not call, and bounds the memory for all of them."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._read: Counter[str] = Counter()

    @asynccontextmanager
    async def let_in(self, request: Request) -> AsyncIterator[Receive]:
        """Yields what receives the request's body, which may be used while the block lasts.

        Raises NoValidKey, BodyTooLarge, TooManyCalls, TooBusy. `receive` raises BodyTooLarge.
        """
        if (size := announced(request)) == 0:
            yield request.receive
            return
        caller = await self._callers.of(request)
        most = most_for(request.scope["path"])
        if size is not None and size > most:
            raise BodyTooLarge("api.http.large")
        size = most if size is None else size
        if size <= UNCOUNTED:
            yield request.receive
            return
        if self._read[caller.id] + size > TOTAL_MAX // 2:
            raise TooManyCalls("api.busy")
        if self._read.total() + size > TOTAL_MAX:
            raise TooBusy("api.busy")
        self._read[caller.id] += size
        try:
            yield _at_most(request.receive, most)
        finally:
            self._read[caller.id] -= size
            if not self._read[caller.id]:
                del self._read[caller.id]


def announced(request: Request) -> int | None:
    """Bytes of the body that a request says it has; None if it does not say how many."""
    if "transfer-encoding" in request.headers:
        return None
    length = request.headers.get("content-length", "0")
    # As the server has read it: it would not have passed on another.
    return int(length) if length.isdecimal() else None


def _at_most(receive: Receive, most: int) -> Receive:
    left = most

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise BodyTooLarge("api.http.large")
        return message

    return limited
