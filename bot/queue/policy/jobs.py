"""What the policy knows of a job and of a lane, and its bounds."""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

LOOKAHEAD = 32
"""How far from the head of the queue to look for a job that fits what is loaded; also how many jobs
may go ahead of one whose turn it is. InvokeAI looks equally far (its session_queue_sqlite.py). So
much for each lane: among hundreds of lanes, 32 jobs go ahead within a second."""
PATIENCE = 5 * 60
"""For how many seconds others may go ahead of a job whose turn it is."""
SWITCH = 2
"""The cost of loading a model, relative to 1 for loading LoRAs; also that of a lane whose
environment is not the preferred one."""
OWED_FOR = 60 * 60
"""For how many seconds a person is held to the turns that a large job took in advance."""
ADAPTERS_AHEAD = 4
"""How many jobs may go ahead of one whose model is loaded: they only save loading LoRAs."""

Kind: TypeAlias = tuple[str, tuple[str, ...], tuple[str, ...], int, str]
"""All of a job that decides which lanes are able to run it; see Waiting.kind."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """What a lane's GPU has loaded: a model's key, and the LoRAs of the last job.

    environments: short ids of where images come out as here, see `bot.recipe.Environment.ids`;
    empty if not known. They are not loaded, so two that differ only in them are equal.
    """

    model: str | None = None
    adapters: tuple[str, ...] = ()
    environments: frozenset[str] = field(default=frozenset(), compare=False)

    def then(self, needs: "InPlace") -> "InPlace":
        """What is loaded once a job has run that needs `needs`: the same, if it needs no model."""
        return InPlace(needs.model, needs.adapters, self.environments) if needs.model else self


@dataclass(frozen=True, slots=True)
class Waiting:
    """One job in the queue.

    arrived: increases with each job; one person's jobs go in this order.
    interrupted: it was started before, for instance before a restart, and goes ahead of all others.
    crashes: how often the process died while it ran; if ever, it goes behind all others.
    passed, due_at: how often, and since when (seconds), others went ahead when it was its turn.
    turns: how many of its person's turns it takes.
    prefers: the environment in which it comes out exactly as before; "" for any.
    memory_above: bytes of the largest GPU that is known not to be enough for it; 0 if none is.
    avoids: the name of the lane that it was lost on; "" for none.
    also: what else it needs that not every lane may have.
    """

    id: str
    person: str
    arrived: int
    model: str
    adapters: tuple[str, ...] = ()
    priority: int = 0
    interrupted: bool = False
    crashes: int = 0
    passed: int = 0
    due_at: float | None = None
    turns: int = 1
    prefers: str = ""
    memory_above: int = 0
    avoids: str = ""
    also: tuple[str, ...] = ()

    @property
    def suspect(self) -> bool:
        return self.crashes > 0

    @property
    def needs(self) -> InPlace:
        """What is loaded once it has been generated."""
        return InPlace(self.model, self.adapters)

    @property
    def kind(self) -> Kind:
        """A lane is able to run either all jobs of one kind or none; see Able."""
        return self.model, self.adapters, self.also, self.memory_above, self.avoids

    def waited_enough(self, now: float, among: int = 1) -> bool:
        """Whether nothing may go ahead of it any more when it is its turn, among so many lanes."""
        late = self.due_at is not None and now - self.due_at >= PATIENCE
        return late or self.passed >= LOOKAHEAD * among

    def once_more_passed(self, now: float) -> "Waiting":
        """As it is after another went ahead of it at `now`."""
        due_at = now if self.due_at is None else self.due_at
        return replace(self, passed=self.passed + 1, due_at=due_at)


@dataclass(frozen=True, slots=True)
class Next:
    """The next job, and where it runs: `lane` is the number of a free lane.

    passed: ids of the jobs whose turn it was instead: the first in the fair order, the first among
    those of the highest priority, and the first suspect.
    """

    job: Waiting
    lane: int = 0
    passed: tuple[str, ...] = ()


def missing(job: Waiting, here: InPlace) -> int:
    """What a lane has to load for the job: 0 nothing, 1 its LoRAs, SWITCH its model."""
    if not job.model:
        return 0
    if job.model != here.model:
        return SWITCH
    return int(job.adapters != here.adapters)


def cost(job: Waiting, here: InPlace) -> int:
    """`missing`, and as much as for a model if the job prefers another environment."""
    elsewhere = bool(job.prefers) and job.prefers not in here.environments
    return missing(job, here) + SWITCH * elsewhere
