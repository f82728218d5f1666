"""Backoff: how long to wait before each further attempt."""

import itertools
from collections.abc import Iterator


class Backoff:
    """Seconds before each further attempt; the last value holds for all that follow."""

    __slots__ = ("_seconds",)

    def __init__(self, *seconds: float) -> None:
        """Raises ValueError without any value."""
        if not seconds:
            raise ValueError("a backoff needs at least one value")
        self._seconds = seconds

    def after(self, waits: int) -> float:
        """Seconds to wait after `waits` earlier waits: the first value for 0."""
        return self._seconds[min(waits, len(self._seconds) - 1)]

    def __iter__(self) -> Iterator[float]:
        """All waits in order, without end."""
        return map(self.after, itertools.count())
