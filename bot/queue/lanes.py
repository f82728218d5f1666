"""Lanes: the queue's view of one consumer and its engine."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bot.queue.policy import InPlace
from bot.store import Job


@dataclass(eq=False)
class Lane:
    """One GPU, which generates one job at a time.

    name: for the log and for threads. device: where its engine computes, as the owner set it.
    loaded: returns the key of the model that the GPU holds; without it,
    the last job's model is assumed.
    running: the job that it generates now. saving: the one before, if its files are still being
    saved meanwhile. last: what the last job there needed.
    """

    name: str = "gpu"
    device: str = "auto"
    loaded: Callable[[], str | None] | None = None
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
    def in_place(self) -> InPlace:
        if self.loaded is None:
            return self.last
        model = self.loaded()
        return self.last if model == self.last.model else InPlace(model)


def saving_on(lanes: Iterable[Lane]) -> tuple[Job, ...]:
    """The jobs whose files are being saved while their lanes go on."""
    return tuple(lane.saving for lane in lanes if lane.saving is not None)


def running_on(lanes: Sequence[Lane]) -> tuple[Job, ...]:
    """The running jobs: first those that are only being saved, then those that are generated, each
    in the order of their lanes."""
    generated = (lane.running for lane in lanes if lane.running is not None)
    return (*saving_on(lanes), *generated)
