"""Backoff: how long to wait before each retry."""

import itertools
from collections.abc import Iterator


class Backoff:
    """Seconds before each retry; the last value is repeated."""

    __slots__ = ("_seconds",)

    def __init__(self, *seconds: float) -> None:
        """Raises ValueError if there is no value."""
        if not seconds:
            raise ValueError("a backoff needs at least one value")
        self._seconds = seconds

    def after(self, waits: int) -> float:
        """Seconds to wait after `waits` earlier waits; 0 gives the first value."""
        return self._seconds[min(waits, len(self._seconds) - 1)]

    def __iter__(self) -> Iterator[float]:
        """All waits in order; endless."""
        return map(self.after, itertools.count())
