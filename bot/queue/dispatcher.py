"""Dispatcher: gives the next job to its lane, with one decision for each that starts."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from bot.queue.lanes import Lane, LaneState
from bot.queue.policy import Next

log = logging.getLogger(__name__)

PAUSE: Final = 1.0
"""Seconds before it is tried again if choosing has failed."""


class Dispatcher:
    """The lanes that wait for a job, none of which is woken before there is one for it.

    choose: the next job, and which of these free lanes runs it.
    """

    def __init__(self, choose: Callable[[Sequence[Lane]], Next | None]) -> None:
        self._choose = choose
        self._free: dict[Lane, asyncio.Future[Next]] = {}
        self._starting: asyncio.Future[Next] | None = None
        self._looking: asyncio.Handle | None = None
        self._held = 0

    def __contains__(self, lane: object) -> bool:
        """Whether the lane waits for a job."""
        return lane in self._free

    @contextmanager
    def offered(self, lane: Lane) -> Iterator[asyncio.Future[Next]]:
        """`lane` may be given a job while the block lasts: what is yielded will be that.

        The block starts the job. Until it ends no other is given out, as it would be the same.
        """
        given: asyncio.Future[Next] = asyncio.get_running_loop().create_future()
        self._free[lane] = given
        self.look_again()
        try:
            yield given
        finally:
            if self._free.get(lane) is given:
                del self._free[lane]
            if self._starting is given:
                self._starting = None
            self.look_again()

    @contextmanager
    def held(self) -> Iterator[None]:
        """No job is given out while the block lasts."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.look_again()

    def look_again(self) -> None:
        """Decide soon, once for all that happens until then: another job may start than before."""
        if self._free and self._looking is None:
            self._looking = asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._looking = None
        if self._held or self._starting is not None:
            return
        # Those that were cancelled are about to leave.
        free = [
            lane
            for lane, given in self._free.items()
            if lane.state is LaneState.READY and not given.done()
        ]
        try:
            choice = self._choose(free)
        except Exception:
            # Nobody else would look again while every lane waits.
            log.exception("the next job could not be chosen")
            self._looking = asyncio.get_running_loop().call_later(PAUSE, self._decide)
            return
        if choice is not None:
            self._starting = self._free.pop(free[choice.lane])
            self._starting.set_result(choice)
