"""Lanes: the queue's view of one consumer and its engine."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bot.queue.policy import InPlace, Waiting
from bot.recipe import Environment
from bot.store import Job


class LaneState(StrEnum):
    """READY: it takes jobs. LOADING: its engine is not ready for a first job yet. LOST: its engine
    has died, and another is being started. DRAINING: it finishes what it has and takes no more."""

    READY = "ready"
    LOADING = "loading"
    LOST = "lost"
    DRAINING = "draining"


@dataclass(eq=False)
class Lane:
    """One GPU, which generates one job at a time.

    name: for the log and for threads. device: where its engine computes, as the owner set it.
    loaded: returns the key of the model that the GPU holds; without it,
    the last job's model is assumed.
    memory: bytes of the GPU's own memory; None if unknown, or if it has none.
    isolated: whether its engine's end ends no other job.
    able: whether it has what a job needs; None: it has everything.
    environment: what the recipes of its images say of where they were generated, as far as known.
    draining: whether it is to take no more jobs. leaving: whether it is about to be removed.
    loading: whether it takes none yet. lost: whether its engine has died, and the next is not there
    yet.
    running: the job that it generates now. saving: the one before, if its files are still being
    saved meanwhile. last: what the last job there needed.
    """

    name: str = "gpu"
    device: str = "auto"
    loaded: Callable[[], str | None] | None = None
    memory: int | None = None
    isolated: bool = False
    able: Callable[[Waiting], bool] | None = None
    environment: Environment = field(default=Environment())
    draining: bool = field(default=False, init=False)
    leaving: bool = field(default=False, init=False)
    loading: bool = field(default=False, init=False)
    lost: bool = field(default=False, init=False)
    running: Job | None = field(default=None, init=False)
    saving: Job | None = field(default=None, init=False)
    last: InPlace = field(default=InPlace(), init=False)

    def hand_over(self, job: Job) -> None:
        """If it generates `job`, that is only saved from now on, and the lane is free."""
        if self.running is not None and self.running.id == job.id:
            self.running, self.saving = None, job

    def leave(self, job_id: str) -> None:
        """The job has ended."""
        if self.running is not None and self.running.id == job_id:
            self.running = None
        if self.saving is not None and self.saving.id == job_id:
            self.saving = None

    @property
    def state(self) -> LaneState:
        if self.draining or self.leaving:
            return LaneState.DRAINING
        if self.lost:
            return LaneState.LOST
        return LaneState.LOADING if self.loading else LaneState.READY

    @property
    def in_place(self) -> InPlace:
        here, model = self.last, self.last.model if self.loaded is None else self.loaded()
        adapters = here.adapters if model == here.model else ()
        return InPlace(model, adapters, self.environment.ids)

    def has_room(self, memory_above: int) -> bool:
        """Whether its memory is larger than `memory_above` bytes, as far as is known. One that
        leaves has no room for anything, so nothing waits for it."""
        return not self.leaving and (self.memory is None or self.memory > memory_above)


def saving_on(lanes: Iterable[Lane]) -> tuple[Job, ...]:
    """The jobs whose files are being saved while their lanes go on."""
    return tuple(lane.saving for lane in lanes if lane.saving is not None)


def running_on(lanes: Sequence[Lane]) -> tuple[Job, ...]:
    """The running jobs: first those that are only being saved, then those that are generated, each
    in the order of their lanes."""
    generated = (lane.running for lane in lanes if lane.running is not None)
    return (*saving_on(lanes), *generated)
