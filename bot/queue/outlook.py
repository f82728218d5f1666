"""Outlook: the latest forecast of a long queue, kept for a moment.

To forecast ten thousand jobs takes a thirtieth of a second. That is too long to do it for each of
forty people a second who want to know their place, and for one turn of the event loop.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from math import inf

from bot.progress import Progress
from bot.store import Job

FEW = 200
"""Up to so many jobs, every place is forecast when it is asked for."""
PART = 200
"""How many jobs are dealt with at once, before other tasks have their turn."""
FRESH = 1.0
"""Seconds for which the forecast of more jobs is kept at least."""
SHARE = 20
"""And at least so many times as long as it took: it may not keep a slow machine busy."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted job and its place, counted over running jobs first, then waiting ones."""

    job: Job
    place: Progress

    @property
    def position(self) -> int:
        return self.place.position


class Outlook:
    """A forecast of all `places`, in the order expected at `at` seconds; it took `took` seconds.

    jobs: all in the queue, by id; they may change later.
    """

    def __init__(
        self, places: Mapping[str, Progress], jobs: Mapping[str, Job], at: float, took: float = 0.0
    ) -> None:
        self._places = dict(places)
        self._jobs = jobs
        self._tickets: dict[str, Ticket] | None = None
        self._added: dict[str, None] = {}  # a set in order
        self._in_order = list(places.values())
        self._at = at
        self._kept = max(FRESH, SHARE * took)

    def followed_by(
        self, places: Mapping[str, Progress], jobs: Mapping[str, Job], at: float, took: float
    ) -> "Outlook":
        """The next forecast, and those that were added to this one since it began."""
        following = Outlook(places, jobs, at, took)
        if places:
            for job_id in self._added:
                if job_id not in places and job_id in jobs:
                    following.add(jobs[job_id], self._places[job_id].position)
        return following

    def fresh(self, now: float) -> bool:
        return 0 <= now - self._at < self._kept

    def usable(self, now: float) -> bool:
        """Whether it may still be told while the next one is being made."""
        return 0 <= now - self._at < 2 * self._kept

    def ticket(self, job_id: str) -> Ticket | None:
        """None if the job has come since, and was not added."""
        place = self._places.get(job_id)
        return None if place is None else Ticket(self._jobs[job_id], place)

    def tickets(self) -> tuple[Ticket, ...]:
        """Of all jobs in the order expected then, without those that have left; those that have
        come since follow."""
        if self._tickets is None:
            places = self._places.items()
            self._tickets = {job_id: Ticket(self._jobs[job_id], place) for job_id, place in places}
        return tuple(self._tickets.values())

    def add(self, job: Job, position: int) -> Ticket:
        """A job has come, about at `position`."""
        ticket = Ticket(job, self._at_position(position))
        self._places[job.id] = ticket.place
        self._added[job.id] = None
        if self._tickets is not None:
            self._tickets[job.id] = ticket
        return ticket

    def drop(self, job_id: str) -> None:
        """The job has left."""
        self._places.pop(job_id, None)
        self._added.pop(job_id, None)
        if self._tickets is not None:
            self._tickets.pop(job_id, None)

    def _at_position(self, position: int) -> Progress:
        """The place of whatever job is at `position`; behind the last, as it went on before."""
        known = self._in_order
        if position <= len(known):
            return replace(known[position - 1], position=position)
        last, middle = known[-1], known[len(known) // 2]
        ready_at = None
        if last.ready_at is not None and middle.ready_at is not None:
            each = (last.ready_at - middle.ready_at) / max(1, last.position - middle.position)
            ready_at = round(last.ready_at + each * (position - last.position))
        return replace(last, position=position, ready_at=ready_at)


class Lookout:
    """Forecasts all places a few at a time, and keeps the latest outlook.

    look: begins a forecast of what is in the queue by then. jobs: all that are in the queue.
    clock: returns seconds since the epoch.
    """

    def __init__(
        self,
        look: Callable[[], Iterator[tuple[str, Progress]]],
        jobs: Mapping[str, Job],
        clock: Callable[[], float],
    ) -> None:
        self._look = look
        self._jobs = jobs
        self._clock = clock
        self._outlook = Outlook({}, {}, -inf)
        self._looking = asyncio.Lock()

    def parts(self) -> Iterator[dict[str, Progress]]:
        """The places as of the first part, PART at a time: other tasks may run in between.

        There is one part at least. Those that have left by then are left out, and those that come
        in between are not in it.
        """
        begin, at, took = time.monotonic(), self._clock(), 0.0
        places, found = self._look(), dict[str, Progress]()
        more = True
        while more:
            part = dict(islice(places, PART))
            found |= part
            more = len(part) == PART
            took += time.monotonic() - begin
            yield self._still_there(part)
            begin = time.monotonic()
        there = self._still_there(found)
        self._outlook = self._outlook.followed_by(there, self._jobs, at, took)

    def _still_there(self, places: Mapping[str, Progress]) -> dict[str, Progress]:
        return {job_id: place for job_id, place in places.items() if job_id in self._jobs}

    async def recent(self) -> Outlook:
        """Of now; in a long queue, of a moment ago."""
        if len(self._jobs) <= FEW:
            deque(self.parts(), maxlen=0)
            return self._outlook
        if self._looking.locked() and self._outlook.usable(self._clock()):
            return self._outlook
        async with self._looking:
            if not self._outlook.fresh(self._clock()):
                for _ in self.parts():
                    await asyncio.sleep(0)
            return self._outlook

    def drop(self, job_id: str) -> None:
        """The job has left."""
        self._outlook.drop(job_id)
