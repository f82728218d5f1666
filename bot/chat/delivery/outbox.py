"""Outbox: sends to Discord in order, retrying for as long as Discord is unavailable.

In each line one has the turn, and only that one tries: the first, until it got through. One that
fails again and again lends its turn to the second, for a single try. If that gets through, Discord
is there, and the first, should it fail once more, goes to the back of the line.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bot.backoff import Backoff
from bot.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
RETRY_AFTER = Backoff(2, 10, 30, 60)
"""Seconds between attempts while Discord is unavailable."""
TURN = 12
"""Failures after which the next in line is tried: perhaps Discord fails only on the first."""


class Away(Exception):
    """Discord cannot take the call at present; a later attempt may succeed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Discord is unavailable ({reason})")


@dataclass(eq=False)
class _Place:
    """One place in the line of a channel.

    turn: set while it may try. overtaken: whether another one got through before it.
    """

    turn: asyncio.Event = field(default_factory=asyncio.Event)
    overtaken: bool = False

    def pass_on(self, to: "_Place") -> None:
        """Give the turn to another."""
        self.turn.clear()
        to.turn.set()


class Outbox:
    """One line per channel: first in, first out, and no channel waits for another."""

    def __init__(self) -> None:
        self._lines: dict[int, list[_Place]] = {}
        self._back = asyncio.Event()
        self._inside = 0

    def __len__(self) -> int:
        """How many deliveries are still pending."""
        return self._inside

    async def carry(self, channel: int, job_id: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt` until it no longer raises Away or StoreError; returns its result.

        The place in line is taken before the first await.
        channel: the id of the one it goes to. job_id: for the log.
        """
        line, place = self._lines.setdefault(channel, []), _Place()
        line.append(place)
        if line[0] is place:
            place.turn.set()
        self._inside += 1
        try:
            outcome = await self._in_line(line, place, job_id, attempt)
            if line[0] is not place:
                line[0].overtaken = True
            return outcome
        finally:
            self._inside -= 1
            line.remove(place)
            if not line:
                del self._lines[channel]
            elif place.turn.is_set():
                place.pass_on(line[0])

    def back(self) -> None:
        """Discord is reachable again: retry now what is waiting to."""
        self._back.set()
        self._back.clear()

    async def _in_line(
        self, line: list[_Place], place: _Place, job_id: str, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        failures = 0
        while True:
            await place.turn.wait()
            try:
                return await attempt()
            except (Away, StoreError) as error:
                pause = RETRY_AFTER.after(failures)
                failures += 1
                log.warning("job %s: %s; trying again in %.0f s", job_id, error, pause)
            if line[0] is not place:
                place.pass_on(line[0])
                continue
            if place.overtaken:
                place.overtaken = False
                line.append(line.pop(0))
                place.pass_on(line[0])
                continue
            if failures >= TURN and len(line) > 1:
                place.pass_on(line[1])
                await place.turn.wait()
            if not place.overtaken:
                await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()
