"""Outbox: what is on its way to Discord, in order, for as long as Discord is away."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakValueDictionary

from bot.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_AFTER = (2.0, 10.0, 30.0, 60.0)
"""Seconds between attempts while Discord is away; the last one again and again."""
TURN = 12
"""Attempts until what waits behind has its turn: perhaps it is this one that Discord chokes on."""


class Away(Exception):
    """Discord cannot be reached at present, or has enough to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Discord is away ({reason})")


class Outbox:
    """One lane per channel: what entered first leaves first, and no channel waits for another."""

    def __init__(self) -> None:
        self._lanes: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._back = asyncio.Event()
        self._inside = 0

    def __len__(self) -> int:
        """How much is on its way."""
        return self._inside

    async def carry(self, lane: int, job_id: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """What `attempt` returns, once it does not raise Away any more. Enter without awaiting.

        lane: the channel that it goes to. job_id: for the log.
        """
        # It lives for as long as somebody is in it.
        lock = self._lanes.setdefault(lane, asyncio.Lock())
        self._inside += 1
        try:
            return await self._in_lane(lock, job_id, attempt)
        finally:
            self._inside -= 1

    def back(self) -> None:
        """Discord is there again: nobody need wait any longer."""
        self._back.set()
        self._back.clear()

    async def _in_lane(
        self, lock: asyncio.Lock, job_id: str, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        failures = 0
        while True:
            async with lock:
                for _ in range(TURN):
                    try:
                        return await attempt()
                    except (Away, StoreError) as error:
                        pause = RETRY_AFTER[min(failures, len(RETRY_AFTER) - 1)]
                        failures += 1
                        log.warning("job %s: %s; again in %.0f s", job_id, error, pause)
                    await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()
