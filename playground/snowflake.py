"""Ids as Discord makes them: https://docs.discord.com/developers/reference#snowflakes."""

import time
from datetime import UTC, datetime

EPOCH_MS = 1_420_070_400_000


class Snowflakes:
    """Makes ids that grow, hold the time of making, and never repeat."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, *, at: float | None = None) -> int:
        """A new id; ``at`` (Unix seconds) dates it, else it is dated now."""
        moment = time.time() if at is None else at
        value = (int(moment * 1000) - EPOCH_MS) << 22
        if at is None:
            value = max(value, self._last + 1)
            self._last = value
        return value


def timestamp(moment: float | None = None) -> str:
    """Unix seconds (default now) as Discord writes a time: ISO 8601 in UTC."""
    at = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    return at.isoformat(timespec="microseconds")


def created_at(snowflake: int) -> str:
    """The time inside an id, as Discord writes it."""
    return timestamp(((snowflake >> 22) + EPOCH_MS) / 1000)
