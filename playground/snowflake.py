"""Ids as Discord generates them: https://docs.discord.com/developers/reference#snowflakes."""

import time
from datetime import UTC, datetime

EPOCH_MS = 1_420_070_400_000


class Snowflakes:
    """Generates unique, increasing ids that contain their creation time."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, *, at: float | None = None) -> int:
        """A new id, created at ``at`` (Unix seconds) or now."""
        moment = time.time() if at is None else at
        value = (int(moment * 1000) - EPOCH_MS) << 22
        if at is None:
            value = max(value, self._last + 1)
            self._last = value
        return value


def timestamp(moment: float | None = None) -> str:
    """Unix seconds (default now) in Discord's format: ISO 8601 in UTC."""
    at = datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)
    return at.isoformat(timespec="microseconds")


def created_at(snowflake: int) -> str:
    """The creation time in an id, in Discord's format."""
    return timestamp(made_at(snowflake))


def made_at(snowflake: int) -> float:
    """The creation time in an id, in Unix seconds."""
    return ((snowflake >> 22) + EPOCH_MS) / 1000
