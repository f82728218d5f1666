"""Pieces: what is too large to be sent to the broker, or fetched from it, in one go.

However slow the way there is, each piece is on it for about half a second. So signs of life pass in
between, a stop is noticed meanwhile, and what counts is whether pieces arrive, not when the last
one does.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol, TypeVar

from redis import RedisError
from redis.asyncio import Redis

from bot.distributed.pace import Pace

T = TypeVar("T")

FIRST: Final = 2**16
LEAST: Final = 2**13
MOST: Final = 2**20
"""Bytes of a piece."""
GROWTH: Final = 4
"""How many times as large as a piece the next one is at most."""
TRIES: Final = 3

Moved = Callable[[float], None]
"""Is told which fraction has arrived, after each piece; whatever it raises ends the transfer."""


class NotKept(RedisError):
    """The broker loses again and again what it is sent."""


class Insist(Protocol):
    """Repeats a call as long as the broker cannot be reached, and that may pass."""

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T: ...


class Pieces:
    """Of one transfer. Raises what `insist` does. What was sent expires, even if this ends between
    two pieces."""

    def __init__(self, client: Redis, pace: Pace, insist: Insist) -> None:
        self._client = client
        self._kept = int(pace.kept)
        self._seconds = pace.piece
        self._insist = insist
        self._size = FIRST

    async def upload(self, values: Mapping[str, bytes], moved: Moved) -> None:
        """Have the broker keep `values` by their keys, in place of whatever it has there. Raises
        NotKept, too."""
        for _ in range(TRIES):  # one that was started again meanwhile has lost what it had
            if await self._uploaded(values, moved):
                return
        raise NotKept("the broker does not keep what it is sent")

    async def _uploaded(self, values: Mapping[str, bytes], moved: Moved) -> bool:
        """Whether the broker has all of them."""
        total, done = max(1, sum(map(len, values.values()))), 0
        begun: list[str] = []
        for key, value in values.items():
            await self._insist(partial(self._client.set, key, b"", ex=self._kept))
            begun.append(key)
            at = 0
            while at < len(value):
                sent = await self._insist(partial(self._put, begun, value, at))
                if not sent:
                    return False
                at += sent
                moved((done + at) / total)
            done += at
        return True

    async def _put(self, begun: Sequence[str], value: bytes, at: int) -> int:
        """Put a piece of `value` at its place in the last of `begun`; again makes no difference.
        Returns its size, or 0 if one of `begun` has gone."""
        piece = value[at : at + self._size]
        with self._timed():
            async with self._client.pipeline(transaction=True) as together:
                for key in begun:
                    together.expire(key, self._kept)
                together.setrange(begun[-1], at, piece)
                # Else one that had gone would now be there for good.
                together.expire(begun[-1], self._kept)
                *there, _, _ = await together.execute()
        return len(piece) if all(there) else 0

    async def download(
        self, key: str, size: int, moved: Moved, *, renewing: Sequence[str] = ()
    ) -> bytes:
        """The first `size` bytes of what the broker has there, or as many as there are.

        renewing: keys that the broker is to keep meanwhile.
        """
        pieces: list[bytes] = []
        at = 0
        while at < size:
            piece = await self._insist(partial(self._get, key, at, size, renewing))
            if not piece:
                break
            pieces.append(piece)
            at += len(piece)
            moved(at / size)
        return b"".join(pieces)

    async def _get(self, key: str, at: int, size: int, renewing: Sequence[str]) -> bytes:
        with self._timed():
            async with self._client.pipeline(transaction=False) as together:
                for each in (key, *renewing):
                    together.expire(each, self._kept)
                together.getrange(key, at, min(at + self._size, size) - 1)
                *_, piece = await together.execute()
        data: bytes = piece
        return data

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Have the next piece be as large as the way carries in its time."""
        begin = time.monotonic()
        try:
            yield
        except RedisError:
            self._size = max(LEAST, self._size // GROWTH)
            raise
        factor = self._seconds / max(time.monotonic() - begin, 1e-6)
        self._size = min(MOST, max(LEAST, int(self._size * min(GROWTH, factor))))
