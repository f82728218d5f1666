"""Fleet: the lanes of a queue, which come and go, and which jobs each of them may be given."""

from collections.abc import Callable, Iterable, Sequence

from bot.queue.entering import as_waiting
from bot.queue.estimate import needs
from bot.queue.lanes import Lane, LaneState
from bot.queue.policy import Able, Waiting
from bot.store import Job


class Fleet:
    """What lanes there are.

    changed: called, and must return at once, whenever other jobs may start than before.
    choosy: whether it matters which lane a job is given to. Once it does, it does for good: what
    the policy has put aside for other lanes has to be asked about again.
    """

    def __init__(self, lanes: Iterable[Lane], changed: Callable[[], None]) -> None:
        self.lanes: tuple[Lane, ...] = tuple(lanes)
        self.choosy = len(self.lanes) != 1 or self.lanes[0].able is not None
        self._lanes_changed = changed
        self._models_above: dict[str, int] = {}

    def add_lane(self, lane: Lane) -> None:
        """From now on, `lane` may take jobs. Raises ValueError if its name is taken."""
        if any(other.name == lane.name for other in self.lanes):
            raise ValueError(f"there is a lane {lane.name!r} already; each needs a name of its own")
        self.lanes = (*self.lanes, lane)
        self.choosy = True
        self._lanes_changed()

    def remove_lane(self, lane: Lane) -> None:
        """It is gone, and what it had is put back or ended. Nothing happens if it was before."""
        self.lanes = tuple(other for other in self.lanes if other is not lane)
        self._lanes_changed()

    def drain(self, lane: Lane) -> None:
        """From now on, `lane` finishes what it has and takes no more jobs, until `resume`."""
        lane.draining = True
        self._lanes_changed()

    def resume(self, lane: Lane) -> None:
        """It takes jobs again."""
        lane.draining = False
        self._lanes_changed()

    def lose(self, lane: Lane, *, lost: bool) -> None:
        """Its engine has died, and the next is not there yet; or is again."""
        lane.lost = lost
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
        return any(other.memory is not None and other.has_room(lane.memory) for other in self.lanes)

    def waits_for_memory(self, job: Job) -> bool:
        """Whether some lanes are too small for it, and others are not."""
        above = max(job.memory_above, self._models_above.get(job.request.model, 0))
        room = [lane.has_room(above) for lane in self.lanes] if above else []
        return any(room) and not all(room)

    def waits_for_files(self, job: Job) -> bool:
        """Whether no lane that is there has what it needs, or knows yet that it has."""
        if any(lane.able is None for lane in self.lanes):
            return False
        waiting = as_waiting(job, 0, needs(job.request), 0)
        return not any(lane.able is not None and lane.able(waiting) for lane in self.lanes)

    def may_run(self, waiting: Waiting, lane: Lane, *, alone: bool) -> bool:
        """Whether `lane` may be given the job. alone: whether no job runs beside it then."""
        if lane.able is not None and not lane.able(waiting):
            return False
        if waiting.suspect and not lane.isolated and not alone:
            return False
        above = max(waiting.memory_above, self._models_above.get(waiting.model, 0))
        if above and not lane.has_room(above) and self._other(waiting, lane, above):
            return False
        if waiting.avoids != lane.name:
            return True
        return not self._other(waiting, lane, above, LaneState.READY)

    def _other(self, waiting: Waiting, lane: Lane, above: int, *states: LaneState) -> bool:
        """Whether another lane can run it. states: that count; all, if none is given."""
        return any(
            other is not lane
            and other.has_room(above)
            and (not states or other.state in states)
            and (other.able is None or other.able(waiting))
            for other in self.lanes
        )


def able_on(fleet: Fleet, lanes: Sequence[Lane], *, alone: bool) -> Able | None:
    """Which job may run on which of `lanes`, as the policy asks; None if there never was more than
    one lane, which may run all."""
    if not fleet.choosy:
        return None
    return lambda waiting, n: fleet.may_run(waiting, lanes[n], alone=alone)
