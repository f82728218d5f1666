"""Lacks: the parts that a worker has said it cannot get, which it is not asked for so soon."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from bot.backoff import Backoff

AGAIN: Final = Backoff(60, 120, 300)
"""Seconds until a worker is asked for a part again, by how often it could not get it in a row."""


class Lacks:
    """Of one worker, on all its devices. Any thread. clock: returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._times: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def note(self, digest: str) -> None:
        """It cannot get this one."""
        with self._lock:
            times = self._times.get(digest, 0)
            self._times[digest] = times + 1
            self._until[digest] = self._clock() + AGAIN.after(times)

    def forget(self, digests: Iterable[str]) -> None:
        """It had these after all."""
        with self._lock:
            for digest in digests:
                self._times.pop(digest, None)
                self._until.pop(digest, None)

    @property
    def now(self) -> frozenset[str]:
        """Those that it is not asked for."""
        with self._lock:
            if not self._until:
                return frozenset()
            now = self._clock()
            return frozenset(digest for digest, until in self._until.items() if until > now)
