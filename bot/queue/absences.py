"""Absences: which lanes take no jobs for now, and for how long they are still waited for."""

import asyncio
from collections.abc import Callable
from typing import Final, Never

from bot.queue.lanes import Lane, LaneState

TOLD_AFTER: Final = 60.0
"""Seconds after which whoever waits for a lane with more memory is told that none is there."""
AWAITED_FOR: Final = 60 * 60.0
"""Seconds for which what no other lane has the memory for waits for one that is drained, or whose
engine cannot be started. After that it is tried on the others, and fails if it must."""
LOOK: Final = 60.0
"""Seconds after which the clock is looked at again, in case that it was set."""


class Absences:
    """Lanes that are away: drained, or without an engine.

    clock: returns seconds since the epoch. changed: called, and must return at once, whenever one
    has been away for so long that this changes anything.
    """

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self._clock = clock
        self._changed = changed
        self._since: dict[Lane, float] = {}
        self._news = asyncio.Event()

    def note(self, lane: Lane) -> None:
        """It takes jobs again, or no longer."""
        if lane.state is LaneState.READY:
            self._since.pop(lane, None)
        else:
            self._since.setdefault(lane, self._clock())
        self._news.set()

    def forget(self, lane: Lane) -> None:
        """It is gone for good."""
        self._since.pop(lane, None)

    def awaited(self, lanes: tuple[Lane, ...]) -> tuple[Lane, ...]:
        """Those that are there, or may be again before long."""
        return self._without(lanes, AWAITED_FOR)

    def present(self, lanes: tuple[Lane, ...]) -> tuple[Lane, ...]:
        """Those that are there, or have not been away for long enough to be worth a word."""
        return self._without(lanes, TOLD_AFTER)

    def _without(self, lanes: tuple[Lane, ...], seconds: float) -> tuple[Lane, ...]:
        if not self._since:
            return lanes
        since = self._clock() - seconds
        return tuple(lane for lane in lanes if self._since.get(lane, since + 1) > since)

    async def watch(self) -> Never:
        """Say when one has been away for so long, until cancelled."""
        over = self._over()
        while True:
            self._news.clear()
            try:
                async with asyncio.timeout(self._until_change()):
                    await self._news.wait()
            except TimeoutError:
                if over != self._over():
                    self._changed()
            over = self._over()

    def _over(self) -> set[tuple[Lane, float]]:
        """Which lanes have been away for longer than what."""
        now = self._clock()
        return {
            (lane, seconds)
            for lane, since in self._since.items()
            for seconds in (TOLD_AFTER, AWAITED_FOR)
            if now - since >= seconds
        }

    def _until_change(self) -> float | None:
        """Seconds; None if that is not foreseen."""
        now = self._clock()
        left = [
            since + seconds - now
            for since in self._since.values()
            for seconds in (TOLD_AFTER, AWAITED_FOR)
            if now - since < seconds
        ]
        return min(LOOK, *left) if left else None
