"""Forecast: the line as it will probably be served, and when each job will be ready."""

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from statistics import fmean

from bot.progress import Progress, Stage
from bot.queue.estimate import Estimator, Sample, needs
from bot.queue.policy import InPlace, Line, Waiting
from bot.store import Job, Painted

EXACT = 64
"""Jobs whose order is played through as the policy will choose; those behind are in rounds."""
TIMED = 128
"""Jobs behind those whose seconds are estimated one by one; the rest take as long as these."""
IDLE = 30 * 60 * 1000
"""Milliseconds between two jobs after which nothing is known of what was in place."""
AT_LEAST = 0.1
"""Share of its estimate that a job which takes longer than that is still given."""


class Forecast:
    """Knows those in line, and learns from each that is painted."""

    def __init__(self) -> None:
        self._estimator = Estimator()
        self.jobs: dict[str, Job] = {}
        self._running: tuple[Job, InPlace, float] | None = None

    def remember(self, history: Iterable[Painted]) -> None:
        """Learn from jobs of the past, the oldest first."""
        before: Painted | None = None
        for job in history:
            known = before is not None and job.started_at - before.finished_at < IDLE
            here = needs(before.request) if before is not None and known else None
            self._estimator.learn(Sample(job.request, job.seconds, here))
            before = job

    def expect(self, job: Job) -> InPlace:
        """`job` is in line; returns what it needs in place."""
        self.jobs[job.id] = job
        return needs(job.request)

    def forget(self, job_id: str) -> None:
        """It has left the line."""
        self.jobs.pop(job_id, None)
        if self._running is not None and self._running[0].id == job_id:
            self._running = None

    def begin(self, job: Job, here: InPlace, now: float) -> None:
        """`job` is painted from now on, with `here` in place."""
        self._running = job, here, now

    def learn(self, job: Job) -> None:
        """The job that began is done."""
        if self._running is not None and self._running[0].id == job.id:
            self._estimator.learn(Sample(job.request, job.seconds, self._running[1]))

    def places(self, line: Line, here: InPlace, now: float, *, paused: bool) -> dict[str, Progress]:
        """Position and time of everyone; `line` is used up. No times while paused or untaught."""
        places: dict[str, Progress] = {}
        at: float | None = now
        if self._running is not None:
            job, before, began = self._running
            here = needs(job.request)
            at = self._ends(job, before, began, now)
            places[job.id] = Progress(
                Stage.QUEUED, position=1, ready_at=None if at is None else round(at)
            )
        for waiting, seconds in self._in_order(line, here, at or now):
            at = None if at is None or seconds is None else at + seconds
            places[waiting.id] = Progress(
                Stage.QUEUED,
                position=len(places) + 1,
                ready_at=None if at is None or paused else round(at),
                paused=paused,
            )
        return places

    def _ends(self, job: Job, before: InPlace, began: float, now: float) -> float | None:
        """When the running job will."""
        seconds = self._estimator.seconds(job.request, before)
        if seconds is None:
            return None
        return max(began + seconds, now + seconds * AT_LEAST)

    def _in_order(
        self, line: Line, here: InPlace, now: float
    ) -> Iterator[tuple[Waiting, float | None]]:
        """Those in line as they will come, with the seconds that each will take."""
        for _ in range(EXACT):
            choice = line.choose(here, now)
            if choice is None:
                return
            seconds = self.seconds(choice.job.id, here)
            yield choice.job, seconds
            line.take(choice, now)
            now += seconds or 0.0
            here = choice.job.needs
        behind = line.rounds()
        # What will be in place by then is not known; most find it there.
        times = [self.seconds(waiting.id, waiting.needs) for waiting in behind[:TIMED]]
        known = [seconds for seconds in times if seconds is not None]
        usual = fmean(known) if known else None
        yield from zip(behind, chain(times, repeat(usual)), strict=False)

    def seconds(self, job_id: str, before: InPlace) -> float | None:
        """How long a job in line will take when `before` is in place; None: not known."""
        return self._estimator.seconds(self.jobs[job_id].request, before)
