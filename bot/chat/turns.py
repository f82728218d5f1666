"""Turns: when each shard may begin a session.

Discord allows one IDENTIFY every five seconds in each of `max_concurrency` groups of shards, and so
many a day in all; whoever begins more gets a new token (docs, events/gateway, Sharding and
Rate Limiting).
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf

import discord

log = logging.getLogger(__name__)

APART = 5.5
"""Seconds between two IDENTIFYs of one group: five, and what the network may take away from it."""

DAY = 24 * 60 * 60
"""Seconds from one reset of the day's sessions to the next."""


class Turns:
    """Until `learn` is called, one group and no limit.

    clock: returns seconds, monotonic.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._groups = 1
        self._total = self._left = inf
        self._reset_at = inf
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._latest: dict[int, float] = {}
        self._sent: set[int] = set()

    def learn(self, limits: discord.SessionStartLimits) -> None:
        """What `GET /gateway/bot` has just said."""
        self._groups = max(1, limits.max_concurrency)
        self._total, self._left = limits.total, limits.remaining
        self._reset_at = self._clock() + limits.reset_after / 1000

    @asynccontextmanager
    async def of(self, shard_id: int) -> AsyncIterator[None]:
        """Wait until the shard may identify; until the block ends, no other of its group may."""
        group = shard_id % self._groups
        async with self._locks[group]:
            await self._sleep_until(self._latest.get(group, -inf) + APART)
            await self._new_day()
            # Taken now, because shards of other groups are about to identify, too.
            self._left -= 1
            self._sent.discard(shard_id)
            try:
                yield
            finally:
                if shard_id not in self._sent:
                    self._left += 1

    def identified(self, shard_id: int) -> None:
        """The shard sends its IDENTIFY now."""
        self._latest[shard_id % self._groups] = self._clock()
        self._sent.add(shard_id)

    async def _new_day(self) -> None:
        """Wait until Discord allows another session."""
        while self._left <= 0 and self._clock() < self._reset_at:
            log.critical(
                "Discord allows no more new sessions today (%d of %d are used); the next one "
                "begins in %d minutes",
                self._total,
                self._total,
                (self._reset_at - self._clock()) / 60 + 1,
            )
            await self._sleep_until(self._reset_at)
        if self._left <= 0:
            self._left, self._reset_at = self._total, self._clock() + DAY

    async def _sleep_until(self, moment: float) -> None:
        if (seconds := moment - self._clock()) > 0:
            await self._sleep(seconds)
