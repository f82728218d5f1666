"""Who is next: a pure decision. No clock and no IO: the state goes in, a choice comes out.

The fair order is round-robin: each person's oldest job stands for them, and whoever was served
longest ago comes first. Two things may go ahead of whose turn it is, within a bound that each turn
has of its own: a higher priority, and a job for which less has to be loaded, because its model,
then its LoRAs, are in place.
"""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import TypeAlias

LOOKAHEAD = 32
"""Places, from the head of the line, in which a job that fits what is loaded is looked for; also
the most that may go ahead of one whose turn it is. InvokeAI looks as far (its
session_queue_sqlite.py)."""
PATIENCE = 5 * 60
"""Seconds that others may go ahead of one whose turn it is."""
ADAPTERS_AHEAD = 4
"""The most that may go ahead of a turn whose model is in place, for their LoRAs: it saves less."""

Turn: TypeAlias = tuple[float, int, int]
"""When the user was last served, when the job arrived, the user: the smallest is next."""
Kind: TypeAlias = tuple[bool, int]
"""What lets a user's oldest job go ahead of the others': that it was interrupted; its priority."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """What the GPU holds: a model's key, and the LoRAs that were painted with last."""

    model: str | None = None
    adapters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """One job in line.

    arrived: counts up; within one user the smaller goes first.
    interrupted: it was begun before a restart, and goes on before all others.
    passed, due_at: how often, and since when (seconds), others went ahead when it was its turn.
    """

    id: str
    user: int
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
class Choice:
    """Who is next, and the ids of those whose turn it was instead: one in all, one by priority."""

    job: Waiting
    passed: tuple[str, ...] = ()


class Line:
    """Those who wait, and when each user was last served (any number that counts up).

    `choose` looks, `take` acts.
    """

    def __init__(
        self, waiting: Iterable[Waiting] = (), served: Mapping[int, float] | None = None
    ) -> None:
        self._served = dict(served or {})
        self._of: dict[int, deque[Waiting]] = {}
        self._turns: list[Turn] = []
        self._kinds: Counter[Kind] = Counter()
        for job in sorted(waiting, key=lambda job: job.arrived):
            self.add(job)

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[Waiting]:
        """All of them; in order only within each user."""
        for jobs in self._of.values():
            yield from jobs

    def copy(self) -> "Line":
        other = Line()
        other._served = dict(self._served)
        other._of = {user: deque(jobs) for user, jobs in self._of.items()}
        other._turns = list(self._turns)
        other._kinds = self._kinds.copy()
        return other

    def add(self, job: Waiting) -> None:
        """Let it wait, behind what the same user asked for before it."""
        with self._rearranging(job.user):
            jobs = self._of.setdefault(job.user, deque())
            behind = []
            while jobs and jobs[-1].arrived > job.arrived:
                behind.append(jobs.pop())
            jobs.append(job)
            jobs.extend(reversed(behind))

    def remove(self, job_id: str) -> Waiting | None:
        """Take it out of the line; None when it is not in it."""
        job = next((job for job in self if job.id == job_id), None)
        if job is not None:
            with self._rearranging(job.user):
                self._of[job.user].remove(job)
        return job

    def serve(self, user: int, when: float) -> None:
        """Remember that `user` was served then, unless it is known to have been later."""
        with self._rearranging(user):
            self._served[user] = max(when, self._served.get(user, when))

    def choose(self, here: InPlace, now: float) -> Choice | None:
        """Who is next when `here` is in place, at `now` seconds; None when nobody waits."""
        if not self._turns:
            return None
        # Thousands may wait, and nearly always the first few tell.
        if any(interrupted for interrupted, _ in self._kinds):
            return Choice(next(job for job in self._heads() if job.interrupted))
        due = next(self._heads())
        if due.waited_enough(now):
            return Choice(due)
        top = max(priority for _, priority in self._kinds)
        peers = list(islice((job for job in self._heads() if job.priority == top), LOOKAHEAD))
        first = peers[0]
        close = first.model == here.model and first.passed >= ADAPTERS_AHEAD
        if close or first.waited_enough(now):
            chosen = first
        else:
            chosen = min(peers, key=lambda job: _to_load(job, here))  # of equals the first
        turns = {due.id: due, first.id: first}
        return Choice(chosen, tuple(job_id for job_id in turns if job_id != chosen.id))

    def take(self, choice: Choice, now: float) -> None:
        """The choice is being painted: it leaves the line, and its user's turn is over."""
        passed = set(choice.passed)
        for head in self._heads():
            if not passed:
                break
            if head.id in passed:
                passed.remove(head.id)
                due_at = now if head.due_at is None else head.due_at
                self._of[head.user][0] = replace(head, passed=head.passed + 1, due_at=due_at)
        with self._rearranging(choice.job.user):
            self._of[choice.job.user].popleft()
        self.serve(choice.job.user, now)

    def rounds(self) -> list[Waiting]:
        """All of them, a round of everybody after the other: the fair order without exceptions."""
        never = float("-inf")
        turns = [
            (number, self._served.get(user, never), job.arrived, user, job)
            for user, jobs in self._of.items()
            for number, job in enumerate(jobs)
        ]
        return [job for *_, job in sorted(turns, key=itemgetter(slice(4)))]

    def _heads(self) -> Iterator[Waiting]:
        """The oldest job of each user, whose turn it is first."""
        return (self._of[user][0] for _, _, user in self._turns)

    def _turn(self, job: Waiting) -> Turn:
        """The fair order: who was served longest ago, or never, first; then who came first."""
        return self._served.get(job.user, float("-inf")), job.arrived, job.user

    @contextmanager
    def _rearranging(self, user: int) -> Iterator[None]:
        """Keep the turns sorted, and the kinds counted, while the block changes what is known
        of `user`."""
        if jobs := self._of.get(user):
            del self._turns[bisect_left(self._turns, self._turn(jobs[0]))]
            kind = _kind(jobs[0])
            self._kinds[kind] -= 1
            if not self._kinds[kind]:
                del self._kinds[kind]
        yield
        if jobs := self._of.get(user):
            insort(self._turns, self._turn(jobs[0]))
            self._kinds[_kind(jobs[0])] += 1
        else:
            self._of.pop(user, None)


def _kind(job: Waiting) -> Kind:
    return job.interrupted, job.priority


def _to_load(job: Waiting, here: InPlace) -> int:
    """What is missing for it: 0 nothing, 1 its LoRAs, 2 its model."""
    if job.model != here.model:
        return 2
    return int(job.adapters != here.adapters)
