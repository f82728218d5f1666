"""Forecast: the order in which jobs will probably run, and when each will be ready."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from math import ceil
from operator import attrgetter
from statistics import fmean

from bot.progress import Progress, Stage
from bot.queue.estimate import Estimator, Sample, needs
from bot.queue.fleet import Fleet, able_on
from bot.queue.lanes import Lane, saving_on
from bot.queue.policy import InPlace, Line
from bot.queue.quiet import QuietHours
from bot.store import Job, Painted

EXACT = 64
"""How many jobs are ordered by simulating the policy; those behind them are ordered by rounds."""
TIMED = 128
"""How many of those behind are estimated one by one; the rest get the mean of these."""
IDLE = 30 * 60 * 1000
"""Milliseconds between two jobs after which it is unknown what was still loaded."""
AT_LEAST = 0.1
"""The least time that a running job is still given, as a fraction of its estimate."""


class Forecast:
    """Tracks the jobs in the queue, and learns from each that is generated."""

    def __init__(self) -> None:
        self._estimator = Estimator()
        self.jobs: dict[str, Job] = {}
        self._running: dict[str, tuple[Job, InPlace, float]] = {}

    def remember(self, history: Iterable[Painted]) -> None:
        """Learn from past jobs, oldest first."""
        before: Painted | None = None
        for job in history:
            here = None
            if before and before.request.model and job.started_at - before.painted_at < IDLE:
                here = needs(before.request)
            self._estimator.learn(Sample(job.request, job.seconds, here))
            before = job

    def expect(self, job: Job) -> InPlace:
        """`job` has entered the queue; returns what it needs loaded."""
        self.jobs[job.id] = job
        return needs(job.request)

    def forget(self, job_id: str) -> None:
        """The job has left the queue."""
        self.jobs.pop(job_id, None)
        self._running.pop(job_id, None)

    def begin(self, job: Job, here: InPlace, now: float) -> None:
        """`job` starts at `now`, on a lane that had `here` loaded."""
        self._running[job.id] = job, here, now

    def learn(self, job: Job) -> None:
        """A job that started is done. It teaches nothing if the clock was set back meanwhile.

        What counts is how long it kept its lane: the next job does not wait for its files.
        """
        if (running := self._running.get(job.id)) is not None and job.lane_seconds > 0:
            self._estimator.learn(Sample(job.request, job.lane_seconds, running[1]))

    def places(
        self,
        line: Line,
        lanes: Sequence[Lane],
        now: float,
        *,
        paused: bool,
        quiet: QuietHours | None = None,
        fleet: Fleet | None = None,
    ) -> Iterator[tuple[str, Progress]]:
        """Id, position and time of every job that is there now; consumes `line`.

        Times are None while they cannot be estimated; those of waiting jobs also while paused.
        Quiet hours are waited out. fleet: knows which job may run on which lane; None: all on each.
        """
        quiet_until = quiet.until(now) if quiet else None
        resumes_at = None if quiet_until is None else ceil(quiet_until)
        running = {
            job.id: Progress(Stage.QUEUED, position=position, ready_at=round(now))
            for position, job in enumerate(saving_on(lanes), start=1)
        }
        free = []
        for lane in lanes:
            at: float | None = now
            here = lane.in_place
            if lane.running is not None and lane.running.id in self._running:
                job, before, began = self._running[lane.running.id]
                here = before.then(needs(job.request))
                at = self._ends(job, before, began, now)
                running[job.id] = Progress(
                    Stage.QUEUED,
                    position=len(running) + 1,
                    ready_at=None if at is None else round(at),
                )
            if not lane.draining:
                free.append(_Free(lane, now if at is None else at, here, at is not None, quiet))
        jobs = dict(self.jobs)
        in_order = self._in_order(line, free, jobs, fleet)
        for_larger = fleet.waits_for_memory if fleet else _for_any
        waiting = (
            (
                job_id,
                Progress(
                    Stage.QUEUED,
                    position=position,
                    ready_at=None if at is None or paused else round(at),
                    paused=paused,
                    resumes_at=resumes_at,
                    larger_gpu=for_larger(jobs[job_id]),
                ),
            )
            for position, (job_id, at) in enumerate(in_order, start=len(running) + 1)
        )
        return chain(running.items(), waiting)

    def _ends(self, job: Job, before: InPlace, began: float, now: float) -> float | None:
        """When the running job will end; None if unknown."""
        seconds = self._estimator.seconds(job.request, before)
        if seconds is None:
            return None
        # It cannot have begun in the future: then the clock was set back.
        return max(min(began, now) + seconds, now + seconds * AT_LEAST)

    def _in_order(
        self,
        line: Line,
        lanes: Sequence["_Free"],
        jobs: Mapping[str, Job],
        fleet: Fleet | None,
    ) -> Iterator[tuple[str, float | None]]:
        """Ids of the waiting `jobs` in the expected order, with when each will be ready; None:
        unknown."""
        if not lanes:
            yield from ((waiting.id, None) for waiting in line.rounds())
            return
        for _ in range(EXACT):
            now = min(lane.until for lane in lanes)
            first_free = [lane for lane in lanes if lane.until <= now]
            able = able_on(fleet, [each.lane for each in first_free], alone=True) if fleet else None
            choice = line.choose([lane.here for lane in first_free], now, able=able)
            if choice is None:
                later = [lane.until for lane in lanes if lane.until > now]
                if not len(line) or not later:
                    break
                # What is left is for those that are busy until then.
                for lane in first_free:
                    lane.until = min(later)
                continue
            lane = first_free[choice.lane]
            seconds = self.seconds(jobs[choice.job.id], lane.here)
            line.take(choice, now)
            lane.take(seconds)
            lane.here = lane.here.then(choice.job.needs)
            yield choice.job.id, lane.ready
        behind = line.rounds()
        first = list(islice(behind, TIMED))
        # What will be loaded by then is unknown; assume what each needs, true for most.
        times = [self.seconds(jobs[waiting.id], waiting.needs) for waiting in first]
        known = [seconds for seconds in times if seconds is not None]
        usual = fmean(known) if known else None
        only = lanes[0] if len(lanes) == 1 else None
        for waiting, seconds in zip(
            chain(first, behind), chain(times, repeat(usual)), strict=False
        ):
            lane = only or min(lanes, key=_until)
            lane.take(seconds)
            yield waiting.id, lane.ready

    def seconds(self, job: Job, before: InPlace) -> float | None:
        """How long `job` will take if `before` is loaded; None if unknown."""
        return self._estimator.seconds(job.request, before)


@dataclass(slots=True)
class _Free:
    """A `lane` in the forecast: free from `until` on, with `here` loaded by then.

    known: whether `until` is an estimate at all; False once a job cannot be estimated. quiet: when
    none begins.
    """

    lane: Lane
    until: float
    here: InPlace
    known: bool
    quiet: QuietHours | None

    ready: float | None = None
    """When the last job taken will be; None while that is not known."""

    def take(self, seconds: float | None) -> None:
        """One more job, that takes so long."""
        if seconds is None:
            self.known = False
        else:
            start = self.quiet.open_at(self.until) if self.quiet else self.until
            self.until = start + seconds
        self.ready = self.until if self.known else None


def _for_any(_: Job) -> bool:
    """Where any lane may run any job, none waits for a larger GPU."""
    return False


_until = attrgetter("until")
