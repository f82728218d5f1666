"""Standing: the jobs of a queue, and where each of them stands."""

from collections.abc import Callable, Iterable, Iterator

from bot.progress import Progress
from bot.queue.estimate import Guided
from bot.queue.fleet import Fleet
from bot.queue.forecast import Forecast
from bot.queue.lanes import Lane, running_on
from bot.queue.outlook import Lookout, Ticket
from bot.queue.policy import Line, Waiting
from bot.queue.stillness import Stillness
from bot.store import Job


class Standing(Fleet):
    """Who waits, who runs, and what place each of them has.

    lanes, changed, clock: see Fleet. still: whether nothing is started now.
    """

    def __init__(
        self,
        lanes: Iterable[Lane],
        changed: Callable[[], None],
        clock: Callable[[], float],
        still: Stillness,
        guided: Guided,
    ) -> None:
        super().__init__(lanes, changed, clock)
        self.still = still
        self._clock = clock
        self._line = Line()
        self._forecast = Forecast(guided)
        self._lookout = Lookout(self._foreseen, self._forecast.jobs, clock)
        self._held: dict[str, Waiting] = {}
        self._subscribers: list[Callable[[], None]] = []

    def subscribe(self, moved: Callable[[], None]) -> Callable[[], None]:
        """Call `moved`, which must return at once, whenever places change.

        Returns a function that unsubscribes it.
        """
        self._subscribers.append(moved)
        return lambda: self._subscribers.remove(moved)

    @property
    def running(self) -> tuple[Job, ...]:
        """See `running_on`."""
        return running_on(self.lanes)

    def __len__(self) -> int:
        """How many jobs wait or run."""
        return len(self._forecast.jobs)

    def find(self, job_id: str) -> Job | None:
        """A job that is in the queue."""
        return self._forecast.jobs.get(job_id)

    def __contains__(self, job_id: object) -> bool:
        """Whether the job waits or runs."""
        return job_id in self._forecast.jobs

    def places(self) -> dict[str, Progress]:
        """The place of every job in the currently expected order, running jobs first."""
        return {job_id: place for part in self.parts() for job_id, place in part.items()}

    def parts(self) -> Iterator[dict[str, Progress]]:
        """`places`, a few at a time; see Lookout.parts."""
        return self._lookout.parts()

    def _foreseen(self) -> Iterator[tuple[str, Progress]]:
        line = self._line.copy()
        for waiting in self._held.values():
            line.add(waiting)
        still = self.still
        return self._forecast.places(
            line, self.lanes, self._clock(), paused=still.paused, quiet=still.quiet, fleet=self
        )

    async def standings(self) -> tuple[Ticket, ...]:
        """`places`, with the jobs; in a long queue, those of a moment ago."""
        return (await self._lookout.recent()).tickets()

    async def standing(self, job_id: str) -> Ticket | None:
        """One job's place, as `standings`; None if it is not in the queue."""
        return (await self._lookout.recent()).ticket(job_id)

    async def _ticket(self, job: Job, waiting: Waiting) -> Ticket:
        """The ticket of a job that has just been accepted; in a long queue, nearly."""
        outlook = await self._lookout.recent()
        if (ticket := outlook.ticket(job.id)) is not None:
            return ticket
        ahead = self._line.ahead(waiting, self._held.values())
        ticket = outlook.add(job, len(self.running) + ahead + 1)
        if job.id not in self:
            outlook.drop(job.id)
        return ticket

    def _moved(self) -> None:
        for moved in tuple(self._subscribers):
            moved()
