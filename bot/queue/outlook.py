"""Outlook: the latest forecast of a long queue, kept for a moment.

To forecast ten thousand jobs takes a thirtieth of a second. That is too long to do it for each of
forty people a second who want to know their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.progress import Progress
from bot.store import Job

FEW = 200
"""Up to so many jobs, every place is forecast when it is asked for."""
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
        self._in_order = list(places.values())
        self._at = at
        self._kept = max(FRESH, SHARE * took)

    def fresh(self, now: float) -> bool:
        return 0 <= now - self._at < self._kept

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
        if self._tickets is not None:
            self._tickets[job.id] = ticket
        return ticket

    def drop(self, job_id: str) -> None:
        """The job has left."""
        self._places.pop(job_id, None)
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
