"""Lanes: the queue's view of one consumer and its engine."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.queue.policy import InPlace
from bot.store import Job


@dataclass(eq=False)
class Lane:
    """One GPU, which generates one job at a time.

    name: for the log and for threads. device: where its engine computes, as the owner set it.
    loaded: returns the key of the model that the GPU holds; without it,
    the last job's model is assumed.
    running: the job that it generates now. last: what the last job there needed.
    """

    name: str = "gpu"
    device: str = "auto"
    loaded: Callable[[], str | None] | None = None
    running: Job | None = field(default=None, init=False)
    last: InPlace = field(default=InPlace(), init=False)

    @property
    def in_place(self) -> InPlace:
        if self.loaded is None:
            return self.last
        model = self.loaded()
        return self.last if model == self.last.model else InPlace(model)
