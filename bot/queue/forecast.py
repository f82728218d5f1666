"""Forecast: the order in which jobs will probably run, and when each will be ready."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain, islice, repeat
from math import ceil
from statistics import fmean

from bot.progress import Progress, Stage
from bot.queue.estimate import Estimator, Guided, Sample, guided_above_one, needs
from bot.queue.fleet import Fleet, Room
from bot.queue.lanes import Lane, LaneState, saving_on
from bot.queue.policy import AT_ONCE, InPlace, Line, Places
from bot.queue.quiet import QuietHours
from bot.queue.speeds import Speeds
from bot.store import Job, Painted

EXACT = 64
"""How many jobs are ordered by simulating the policy; those behind them are ordered by rounds. They
are fewer if the policy meets more than AT_ONCE on the way that no free lane is able to run."""
TIMED = 128
"""How many of those behind are estimated one by one; the rest get the mean of these."""
IDLE = 30 * 60 * 1000
"""Milliseconds between two jobs after which it is unknown what was still loaded."""
AT_LEAST = 0.1
"""The least time that a running job is still given, as a fraction of its estimate."""


class Forecast:
    """Tracks the jobs in the queue, and learns from each that is generated."""

    def __init__(self, guided: Guided = guided_above_one) -> None:
        self._estimator = Estimator(guided)
        self._speeds = Speeds()
        self.jobs: dict[str, Job] = {}
        self._running: dict[str, tuple[Job, InPlace, float, str]] = {}

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

    def begin(self, job: Job, here: InPlace, now: float, lane: str = "") -> None:
        """`job` starts at `now`, on the lane of that name, which had `here` loaded."""
        self._running[job.id] = job, here, now, lane

    def learn(self, job: Job) -> None:
        """A job that started is done. It teaches nothing if the clock was set back meanwhile.

        What counts is how long it kept its lane: the next job does not wait for its files.
        """
        if (running := self._running.get(job.id)) is None or job.lane_seconds <= 0:
            return
        _, before, _, lane = running
        usual, times = self.seconds(job, before), self._speeds.of(lane)
        if usual is not None and job.request.comparison is None:
            self._speeds.learn(lane, job.lane_seconds / usual)
        self._estimator.learn(Sample(job.request, job.lane_seconds / times, before))

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
                job, before, began, _ = self._running[lane.running.id]
                here = before.then(needs(job.request))
                at = self._ends(job, before, began, now, lane.name)
                running[job.id] = Progress(
                    Stage.QUEUED,
                    position=len(running) + 1,
                    ready_at=None if at is None else round(at),
                )
            if lane.state is not LaneState.DRAINING:
                known = at is not None and lane.state is LaneState.READY
                free.append(_Free(lane, now if at is None else at, here, known, quiet))
        jobs = dict(self.jobs)
        in_order = self._in_order(line, free, jobs, fleet)
        room_for = fleet.waits_for_memory() if fleet else _room_for_any
        for_files = fleet.waits_for_files if fleet else _for_any

        def place(position: int, job: Job, at: float | None) -> Progress:
            no_files, room = for_files(job), room_for(job)
            unknown = paused or no_files or room is Room.AWAY
            return Progress(
                Stage.QUEUED,
                position=position,
                ready_at=None if at is None or unknown else round(at),
                paused=paused,
                resumes_at=resumes_at,
                larger_gpu=room is not Room.EVERYWHERE,
                gpu_away=room is Room.AWAY,
                no_files=no_files,
            )

        waiting = (
            (job_id, place(position, jobs[job_id], at))
            for position, (job_id, at) in enumerate(in_order, start=len(running) + 1)
        )
        return chain(running.items(), waiting)

    def _ends(self, job: Job, before: InPlace, began: float, now: float, lane: str) -> float | None:
        """When the running job will end; None if unknown."""
        seconds = self.seconds(job, before)
        if seconds is None:
            return None
        seconds *= self._speeds.of(lane)
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
        able = fleet.able_on([each.lane for each in lanes]) if fleet else None
        busy = [(lane.until, number) for number, lane in enumerate(lanes)]
        heapify(busy)
        places, now = Places(), busy[0][0]
        enough = line.aside + AT_ONCE
        for _ in range(EXACT):
            while busy and busy[0][0] <= now:
                number = heappop(busy)[1]
                places.put(number, lanes[number].here)
            choice = line.choose(places, now, able=able, among=len(lanes))
            if line.put_off or line.aside > enough:
                # Too many that no lane is able to run: the rest is ordered by rounds as well.
                break
            if choice is not None:
                places.drop(choice.lane)
                lane = lanes[choice.lane]
                lane.until = max(lane.until, now)
                line.take(choice, now)
                lane.take(self._seconds_on(lane, jobs[choice.job.id], lane.here))
                lane.here = lane.here.then(choice.job.needs)
                heappush(busy, (lane.until, choice.lane))
                yield choice.job.id, lane.ready
            if choice is None or not len(places):
                if not len(line) or not busy:
                    break
                # What is left is for those that are busy until then.
                now = max(now, busy[0][0])
        for lane in lanes:
            lane.until = max(lane.until, now)
        behind = line.rounds()
        first = list(islice(behind, TIMED))
        # What will be loaded by then is unknown; assume what each needs, true for most.
        times = [self.seconds(jobs[waiting.id], waiting.needs) for waiting in first]
        known = [seconds for seconds in times if seconds is not None]
        usual = fmean(known) if known else None
        busy = [(lane.until, number) for number, lane in enumerate(lanes)]
        heapify(busy)
        for waiting, seconds in zip(
            chain(first, behind), chain(times, repeat(usual)), strict=False
        ):
            number = busy[0][1]
            lane = lanes[number]
            lane.take(None if seconds is None else seconds * self._speeds.of(lane.lane.name))
            heapreplace(busy, (lane.until, number))
            yield waiting.id, lane.ready

    def _seconds_on(self, lane: "_Free", job: Job, before: InPlace) -> float | None:
        """`seconds` on that lane."""
        seconds = self.seconds(job, before)
        return None if seconds is None else seconds * self._speeds.of(lane.lane.name)

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
    """Where any lane may run any job, none waits for files."""
    return False


def _room_for_any(_: Job) -> Room:
    """And none for a larger GPU."""
    return Room.EVERYWHERE
