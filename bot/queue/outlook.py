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
"""Seconds for which the forecast of more jobs is kept."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An accepted job and its place, counted over running jobs first, then waiting ones."""

    job: Job
    place: Progress

    @property
    def position(self) -> int:
        return self.place.position


class Outlook:
    """A forecast of `places`, in the order expected at `at` seconds.

    tickets: by job id; those of jobs that have come since follow, and those of jobs that have left
    are taken out.
    """

    def __init__(self, places: Mapping[str, Progress], jobs: Mapping[str, Job], at: float) -> None:
        self.tickets = {job_id: Ticket(jobs[job_id], place) for job_id, place in places.items()}
        self._at = at
        self._in_order = list(places.values())

    def fresh(self, now: float) -> bool:
        return 0 <= now - self._at < FRESH

    def at_position(self, position: int) -> Progress:
        """The place of whoever is at `position`; behind the last one, as it went on before."""
        known = self._in_order
        if position <= len(known):
            return replace(known[position - 1], position=position)
        last, middle = known[-1], known[len(known) // 2]
        ready_at = None
        if last.ready_at is not None and middle.ready_at is not None:
            each = (last.ready_at - middle.ready_at) / max(1, last.position - middle.position)
            ready_at = round(last.ready_at + each * (position - last.position))
        return replace(last, position=position, ready_at=ready_at)
