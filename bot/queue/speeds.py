"""Speeds: how long each lane takes, where there are several that may be of different cards."""

from collections import defaultdict, deque
from statistics import median

REMEMBERED = 15
"""How many of a lane's latest jobs count."""
ENOUGH = 3
"""The fewest jobs that tell."""


class Speeds:
    """How many times as long as usual a job takes on each lane, by the lane's name."""

    def __init__(self) -> None:
        self._times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def learn(self, lane: str, times: float) -> None:
        """A job took so many times as long there as it usually does."""
        self._times[lane].append(times)

    def of(self, lane: str) -> float:
        """1 while too little is known, and where there is only one lane: it is the usual one."""
        times = self._times.get(lane, ())
        return median(times) if len(self._times) > 1 and len(times) >= ENOUGH else 1.0
