"""Outbox: sends to Discord in order, retrying for as long as Discord is unavailable."""

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

    turn: set while it may try. tried: set while it probes for the one in front; its outcome.
    """

    turn: asyncio.Event = field(default_factory=asyncio.Event)
    tried: asyncio.Future[bool] | None = None


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
        line[0].turn.set()
        taken = False
        self._inside += 1
        try:
            outcome = await self._in_line(line, place, job_id, attempt)
            taken = True
            return outcome
        finally:
            self._inside -= 1
            line.remove(place)
            _answer(place, taken=taken)
            if line:
                line[0].turn.set()
            else:
                del self._lines[channel]

    def back(self) -> None:
        """Discord is reachable again: retry now what is waiting to."""
        self._back.set()
        self._back.clear()

    async def _in_line(
        self, line: list[_Place], place: _Place, job_id: str, attempt: Callable[[], Awaitable[T]]
    ) -> T:
        failures = 0
        suspect = False
        while True:
            await place.turn.wait()
            try:
                return await attempt()
            except (Away, StoreError) as error:
                pause = RETRY_AFTER.after(failures)
                failures += 1
                log.warning("job %s: %s; trying again in %.0f s", job_id, error, pause)
            if place.tried is not None:
                place.turn.clear()
                _answer(place, taken=False)
                line[0].turn.set()
            elif suspect:
                # Another one got through, so this one is the problem: move it to the back.
                suspect = False
                place.turn.clear()
                line.append(line.pop(0))
                line[0].turn.set()
            elif failures >= TURN and len(line) > 1 and await _is_taken(line[1]):
                suspect = True
            else:
                await self._wait(pause)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()


async def _is_taken(place: _Place) -> bool:
    """Let `place` try once; whether it got through."""
    place.tried = asyncio.get_running_loop().create_future()
    place.turn.set()
    return await place.tried


def _answer(place: _Place, *, taken: bool) -> None:
    tried, place.tried = place.tried, None
    if tried is not None and not tried.done():
        tried.set_result(taken)
