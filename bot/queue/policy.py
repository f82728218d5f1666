"""Who is next: a pure decision. No clock and no IO: the state goes in, a choice comes out.

The fair order is round-robin: each person's oldest job stands for them, and whoever was served
longest ago comes first. Two things may go ahead of whose turn it is, within a bound that each turn
has of its own: a higher priority, and a job for which less has to be loaded, because its model,
then its LoRAs, are in place.
"""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

LOOKAHEAD = 32
"""Places, from the head of the line, in which a job that fits what is loaded is looked for; also
the most that may go ahead of one whose turn it is. InvokeAI looks as far (its
session_queue_sqlite.py)."""
PATIENCE = 5 * 60
"""Seconds that others may go ahead of one whose turn it is."""
SWITCH = 2
"""What loading a model costs, where loading LoRAs costs 1."""
ADAPTERS_AHEAD = 4
"""The most that may go ahead of a turn whose model is in place, for their LoRAs: it saves less."""

Turn: TypeAlias = tuple[float, int, str]
"""When the person was last served, when the job arrived, the person: the smallest is next."""
Rank: TypeAlias = tuple[bool, int]
"""What lets a person's oldest job go ahead: that it was interrupted; its priority."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """What a lane's GPU holds: a model's key, and the LoRAs that it generated with last."""

    model: str | None = None
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """One job in line.

    arrived: counts up; within one person the smaller goes first.
    interrupted: it was begun before a restart, and goes on before all others.
    passed, due_at: how often, and since when (seconds), others went ahead when it was its turn.
    """

    id: str
    person: str
    arrived: int
    model: str
    adapters: tuple[str, ...] = ()
    priority: int = 0
    interrupted: bool = False
    passed: int = 0
    due_at: float | None = None

    @property
    def needs(self) -> InPlace:
        """What is in place once it has been painted."""
        return InPlace(self.model, self.adapters)

    def waited_enough(self, now: float) -> bool:
        """Whether nobody may go ahead of it any more when it is its turn."""
        late = self.due_at is not None and now - self.due_at >= PATIENCE
        return late or self.passed >= LOOKAHEAD


@dataclass(frozen=True, slots=True)
class Next:
    """Who is next, and where: `lane` is an index into the lanes that are free.

    passed: the ids of those whose turn it was instead: one in all, one by priority.
    """

    job: Waiting
    lane: int = 0
    passed: tuple[str, ...] = ()


class Line:
    """Those who wait, and when each person was last served (any number that counts up).

    `choose` looks, `take` acts.
    """

    def __init__(
        self, waiting: Iterable[Waiting] = (), served: Mapping[str, float] | None = None
    ) -> None:
        self._served = dict(served or {})
        self._of: dict[str, deque[Waiting]] = {}
        self._turns: list[Turn] = []
        self._ranks: Counter[Rank] = Counter()
        for job in sorted(waiting, key=lambda job: job.arrived):
            self.add(job)

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[Waiting]:
        """All of them; in order only within each person."""
        for jobs in self._of.values():
            yield from jobs

    def copy(self) -> "Line":
        other = Line()
        other._served = dict(self._served)
        other._of = {person: deque(jobs) for person, jobs in self._of.items()}
        other._turns = list(self._turns)
        other._ranks = self._ranks.copy()
        return other

    def add(self, job: Waiting) -> None:
        """Let it wait, behind what the same person asked for before it."""
        with self._rearranging(job.person):
            jobs = self._of.setdefault(job.person, deque())
            behind = []
            while jobs and jobs[-1].arrived > job.arrived:
                behind.append(jobs.pop())
            jobs.append(job)
            jobs.extend(reversed(behind))

    def remove(self, job_id: str) -> Waiting | None:
        """Take it out of the line; None when it is not in it."""
        job = next((job for job in self if job.id == job_id), None)
        if job is not None:
            with self._rearranging(job.person):
                self._of[job.person].remove(job)
        return job

    def serve(self, person: str, when: float) -> None:
        """Remember that `person` was served then, unless it is known to have been later."""
        with self._rearranging(person):
            self._served[person] = max(when, self._served.get(person, when))

    def choose(self, lanes: Sequence[InPlace], now: float) -> Next | None:
        """Who is next at `now` seconds, and on which of the free `lanes`.

        lanes: what each of them has in place. None when there is no job, or no free lane.
        """
        if not self._turns or not lanes:
            return None
        # Thousands may wait, and nearly always the first few tell.
        if any(interrupted for interrupted, _ in self._ranks):
            first = next(job for job in self._heads() if job.interrupted)
            return Next(first, _best_lane(first, lanes))
        due = next(self._heads())
        if due.waited_enough(now):
            return Next(due, _best_lane(due, lanes))
        top = max(priority for _, priority in self._ranks)
        peers = list(islice((job for job in self._heads() if job.priority == top), LOOKAHEAD))
        first = peers[0]
        close = _to_load(first, lanes) < SWITCH and first.passed >= ADAPTERS_AHEAD
        if close or first.waited_enough(now):
            chosen = first
        else:
            chosen = min(peers, key=lambda job: _to_load(job, lanes))  # of equals the first
        turns = {due.id: due, first.id: first}
        passed = tuple(job_id for job_id in turns if job_id != chosen.id)
        return Next(chosen, _best_lane(chosen, lanes), passed)

    def take(self, choice: Next, now: float) -> None:
        """The choice is being painted: it leaves the line, and its person's turn is over."""
        passed = set(choice.passed)
        for head in self._heads():
            if not passed:
                break
            if head.id in passed:
                passed.remove(head.id)
                due_at = now if head.due_at is None else head.due_at
                self._of[head.person][0] = replace(head, passed=head.passed + 1, due_at=due_at)
        with self._rearranging(choice.job.person):
            # Not simply the first: an earlier one of the same person may have come in meanwhile.
            self._of[choice.job.person].remove(choice.job)
        self.serve(choice.job.person, now)

    def rounds(self) -> list[Waiting]:
        """All of them, a round of everybody after the other: the fair order without exceptions."""
        never = float("-inf")
        # No two arrived as the same one, so the jobs themselves are never compared.
        turns = [
            (number, served, job.arrived, job)
            for person, jobs in self._of.items()
            for served in (self._served.get(person, never),)
            for number, job in enumerate(jobs)
        ]
        return [job for *_, job in sorted(turns)]

    def _heads(self) -> Iterator[Waiting]:
        """The oldest job of each person, whose turn it is first."""
        return (self._of[person][0] for _, _, person in self._turns)

    def _turn(self, job: Waiting) -> Turn:
        """The fair order: who was served longest ago, or never, first; then who came first."""
        return self._served.get(job.person, float("-inf")), job.arrived, job.person

    @contextmanager
    def _rearranging(self, person: str) -> Iterator[None]:
        """Keep the turns sorted, and the kinds counted, while the block changes what is known
        of `person`."""
        if jobs := self._of.get(person):
            del self._turns[bisect_left(self._turns, self._turn(jobs[0]))]
            rank = _rank(jobs[0])
            self._ranks[rank] -= 1
            if not self._ranks[rank]:
                del self._ranks[rank]
        yield
        if jobs := self._of.get(person):
            insort(self._turns, self._turn(jobs[0]))
            self._ranks[_rank(jobs[0])] += 1
        else:
            self._of.pop(person, None)


def _rank(job: Waiting) -> Rank:
    return job.interrupted, job.priority


def _missing(job: Waiting, here: InPlace) -> int:
    """What a lane has to load for it: 0 nothing, 1 its LoRAs, SWITCH its model."""
    if job.model != here.model:
        return SWITCH
    return int(job.adapters != here.adapters)


def _to_load(job: Waiting, lanes: Sequence[InPlace]) -> int:
    """As `_missing`, on the lane where it is least."""
    return min(_missing(job, here) for here in lanes)


def _best_lane(job: Waiting, lanes: Sequence[InPlace]) -> int:
    """Where least has to be loaded for it. Of several to switch, the one that holds no model."""
    return min(
        range(len(lanes)),
        key=lambda n: (_missing(job, lanes[n]), lanes[n].model is not None),
    )
