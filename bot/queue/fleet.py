"""Fleet: the lanes of a queue, which come and go, and which jobs each of them may be given."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import cached_property
from math import inf

from bot.queue.absences import Absences
from bot.queue.entering import as_waiting
from bot.queue.estimate import needs
from bot.queue.lanes import Lane, LaneState
from bot.queue.policy import Able, Apart, Line, Next, Places, Waiting
from bot.queue.policy.jobs import Kind
from bot.store import Job


class Room(Enum):
    """Where there is enough memory for a job, as far as is known. EVERYWHERE also if there is
    nowhere: then it waits for nothing. AWAY: only on lanes that have not taken jobs for a while."""

    EVERYWHERE = auto()
    SOMEWHERE = auto()
    AWAY = auto()


class Fleet:
    """What lanes there are.

    changed: called, and must return at once, whenever other jobs may start than before.
    clock: returns seconds since the epoch. absences: of lanes that take no jobs for now.
    choosy: whether it matters which lane a job is given to. Once it does, it does for good: what
    the policy has put aside for other lanes has to be asked about again.
    """

    def __init__(
        self,
        lanes: Iterable[Lane],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._have(lanes)
        self.absences = Absences(clock, changed)
        self.choosy = len(self.lanes) != 1 or self.lanes[0].able is not None
        self._lanes_changed = changed
        self._models_above: dict[str, int] = {}

    def add_lane(self, lane: Lane) -> None:
        """From now on, `lane` may take jobs. Raises ValueError if its name is taken."""
        if any(other.name == lane.name for other in self.lanes):
            raise ValueError(f"there is a lane {lane.name!r} already; each needs a name of its own")
        self._have((*self.lanes, lane))
        self.choosy = True
        self._lanes_changed()

    def remove_lane(self, lane: Lane) -> None:
        """It is gone, and what it had is put back or ended. Nothing happens if it was before."""
        self._have(other for other in self.lanes if other is not lane)
        self.absences.forget(lane)
        self._lanes_changed()

    def _have(self, lanes: Iterable[Lane]) -> None:
        self.lanes: tuple[Lane, ...] = tuple(lanes)
        self._together = tuple(lane for lane in self.lanes if not lane.isolated)

    def drain(self, lane: Lane) -> None:
        """From now on, `lane` finishes what it has and takes no more jobs, until `resume`."""
        lane.draining = True
        self.absences.note(lane)
        self._lanes_changed()

    def resume(self, lane: Lane) -> None:
        """It takes jobs again."""
        lane.draining = False
        self.absences.note(lane)
        self._lanes_changed()

    def load(self, lane: Lane, *, loading: bool) -> None:
        """Its engine is not ready for a first job yet; or is by now."""
        lane.loading = loading
        self._lanes_changed()

    def lose(self, lane: Lane, *, lost: bool) -> None:
        """Its engine has died, and the next is not there yet; or is again."""
        lane.lost = lost
        self.absences.note(lane)
        self._lanes_changed()

    def hand_over(self, job: Job) -> None:
        """A running job is generated and from now on only saved: its lane may take the next one.

        job: with when it was painted. It stays in the queue until it leaves.
        """
        for lane in self.lanes:
            lane.hand_over(job)

    # Which job may go where

    def too_small(self, lane: Lane, job: Job, *, model: bool) -> bool:
        """`job` ran out of memory there; returns whether it is to wait for a larger lane. It does
        so once: if it was given to this one all the same, no larger one could take it.

        model: whether its model alone did not fit. Then no job with it is given to that lane or to
        smaller ones, as long as there is a larger one.
        """
        if lane.memory is None or lane.memory <= job.memory_above:
            return False
        if model and job.request.model:
            known = self._models_above.get(job.request.model, 0)
            self._models_above[job.request.model] = max(known, lane.memory)
        waiting = as_waiting(job, 0, needs(job.request), 0.0)
        return self._able_on(()).elsewhere(waiting, lane.memory)

    def waits_for_memory(self) -> Callable[[Job], Room]:
        """Whether some lanes are too small for a job, and others are not, as of now."""
        sizes = _sizes(self.absences.awaited(self.lanes))
        smallest, largest = min(sizes, default=0), max(sizes, default=0)
        largest_here = max(_sizes(self.absences.present(self.lanes)), default=0)

        def room(job: Job) -> Room:
            above = max(job.memory_above, self._models_above.get(job.request.model, 0))
            if not smallest <= above < largest:
                return Room.EVERYWHERE
            return Room.SOMEWHERE if above < largest_here else Room.AWAY

        return room

    def waits_for_files(self, job: Job) -> bool:
        """Whether no lane that is there has what it needs, or knows yet that it has."""
        if any(lane.able is None for lane in self.lanes):
            return False
        waiting = as_waiting(job, 0, needs(job.request), 0.0)
        return not any(lane.able is not None and lane.able(waiting) for lane in self.lanes)

    def has_files_for(self, job: Job) -> bool:
        """Whether any lane that takes jobs, or will again by itself, has what it needs."""
        waiting = as_waiting(job, 0, needs(job.request), 0.0)
        return any(
            lane.able is None or lane.able(waiting)
            for lane in self.lanes
            if lane.state is not LaneState.DRAINING
        )

    def decide(self, line: Line, free: Sequence[Lane], now: float) -> Next | None:
        """The next job of `line` at `now` seconds, and the number of the lane of `free` for it; see
        Line.choose."""
        # What ran on a free lane is over, though its files may still be being saved.
        running = [lane.running for lane in self._together if lane.running and lane not in free]
        saving = any(lane.saving for lane in self._together)
        # Only a suspect that would end this process has to be alone in it.
        only_apart = any(job.suspect for job in running)
        places = Places()
        for number, lane in enumerate(free):
            if lane.isolated or not only_apart:
                places.put(number, lane.in_place)
        return line.choose(
            places,
            now,
            busy=saving or bool(running),
            able=self.able_on(free),
            apart=apart_on(free),
            among=len(self.lanes),
        )

    def able_on(self, lanes: Sequence[Lane]) -> Able | None:
        """Which job may run on which of `lanes`, as the policy asks; None if there never was more
        than one lane, which may run all."""
        return self._able_on(lanes) if self.choosy else None

    def _able_on(self, lanes: Sequence[Lane]) -> "FleetAble":
        return FleetAble(self.absences.awaited(self.lanes), lanes, self._models_above)


class FleetAble:
    """Which job may run on which of `lanes`, for one decision: of the others of `fleet`, as few as
    possible are looked at, and once for all jobs of a kind.

    fleet: the lanes that jobs may wait for.
    models_above: bytes of the largest GPU that each model alone is known not to fit into.
    """

    def __init__(
        self, fleet: Sequence[Lane], lanes: Sequence[Lane], models_above: Mapping[str, int]
    ) -> None:
        self._fleet = fleet
        self._lanes = lanes
        self._models_above = models_above
        self._found: dict[tuple[Kind, bool], tuple[int, str]] = {}
        self._job: Waiting | None = None
        self._above, self._avoids = 0, ""

    def __call__(self, job: Waiting, number: int) -> bool:
        if job is not self._job:  # the policy asks for one job after another
            self._job = job
            self._above, self._avoids = self._limits(job)
        lane = self._lanes[number]
        if not lane.has_room(self._above) or lane.name == self._avoids:
            return False
        return lane.able is None or lane.able(job)

    def elsewhere(self, job: Waiting, above: int) -> bool:
        """Whether any lane with more memory is able to run it."""
        for lane in self._largest_first:
            if not lane.has_room(above):
                return False
            if lane.able is None or lane.able(job):
                return True
        return False

    def _limits(self, job: Waiting) -> tuple[int, str]:
        """Bytes of memory that are too few for the job, and the name of the lane that it does not
        go to: as long as another can take it."""
        alike = job.kind, job.suspect
        if (found := self._found.get(alike)) is None:
            above = max(job.memory_above, self._models_above.get(job.model, 0))
            others = job.avoids and any(
                lane.name != job.avoids
                and lane.state is LaneState.READY
                and lane.has_room(above)
                and (lane.able is None or lane.able(job))
                for lane in self._fleet
            )
            too_small = above if above and self.elsewhere(job, above) else 0
            found = self._found[alike] = too_small, job.avoids if others else ""
        return found

    @cached_property
    def _largest_first(self) -> list[Lane]:
        return sorted(
            self._fleet, key=lambda lane: inf if lane.memory is None else lane.memory, reverse=True
        )


def _sizes(lanes: Iterable[Lane]) -> list[float]:
    """Bytes of each GPU's memory, infinite where that is not known."""
    return [inf if lane.memory is None else lane.memory for lane in lanes]


def apart_on(lanes: Sequence[Lane]) -> Apart | None:
    """Which of `lanes` are apart, as the policy asks; None if none is."""
    if not any(lane.isolated for lane in lanes):
        return None
    return lambda n: lanes[n].isolated
