"""Lanes: each is one consumer with its engine, as the queue sees it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.queue.policy import InPlace
from bot.store import Job


@dataclass(eq=False)
class Lane:
    """One GPU that jobs are generated on, one after the other.

    name: for the log and figures. loaded: says the key of the model that the GPU holds; without it,
    that is the one of the last job.
    running: what is generated there now. last: what the last job there needed.
    """

    name: str = "gpu"
    loaded: Callable[[], str | None] | None = None
    running: Job | None = field(default=None, init=False)
    last: InPlace = field(default=InPlace(), init=False)

    @property
    def in_place(self) -> InPlace:
        if self.loaded is None:
            return self.last
        model = self.loaded()
        return self.last if model == self.last.model else InPlace(model)
