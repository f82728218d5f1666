"""How many sessions a bot may begin: https://docs.discord.com/developers/events/gateway#sharding."""

import time
from math import ceil
from typing import Any

DAY = 86_400.0
"""Seconds after which the sessions of a day are allowed again."""


class SessionLimits:
    """shards: how many ``GET /gateway/bot`` recommends. required: whether fewer are refused.

    total, remaining: sessions a day. concurrency: how many shards may identify at once, each of
    another group. window: seconds that a group has to wait between two; Discord's is 5, and 0
    allows any, so that tests may restart a bot at once.
    """

    def __init__(self) -> None:
        self.shards = 1
        self.required = False
        self.total = self.remaining = 1000
        self.concurrency = 1
        self.window = 0.0
        self._reset_at = time.monotonic() + DAY
        self._latest: dict[int, float] = {}

    def payload(self) -> dict[str, Any]:
        """The ``session_start_limit`` of ``GET /gateway/bot``."""
        return {
            "total": self.total,
            "remaining": max(0, self.remaining),
            "reset_after": max(0, ceil((self._reset_at - time.monotonic()) * 1000)),
            "max_concurrency": self.concurrency,
        }

    def reset_in(self, seconds: float) -> None:
        """Let the day end in so many seconds."""
        self._reset_at = time.monotonic() + seconds

    def refuses(self, count: int) -> bool:
        """Whether ``count`` shards are too few for the bot's guilds."""
        return self.required and count < self.shards

    def spend(self, shard: int) -> str | None:
        """Count an IDENTIFY of a shard; returns what is wrong with it."""
        now, group = time.monotonic(), shard % self.concurrency
        before = self._latest.get(group)
        self._latest[group] = now
        if now >= self._reset_at:
            self.remaining, self._reset_at = self.total, now + DAY
        self.remaining -= 1
        if self.remaining < 0:
            return f"more than {self.total} sessions in a day"
        if before is not None and now - before < self.window:
            return f"shard {shard} identified {now - before:.2f} s after another of its group"
        return None
