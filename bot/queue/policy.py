"""The scheduling policy: which job is next. Pure: no clock and no IO.

The fair order is round-robin: each person is represented by their oldest job, and the person who
was served longest ago comes first. Two kinds of job may go ahead of the one whose turn it is, up to
a bound kept per job: one with a higher priority, and one that needs less loading because its model,
or also its LoRAs, are loaded.

A suspect, a job during which the process died, comes after all others and runs alone, so that what
it may do harms no other job. The bound holds for it, too: others may go ahead of it only so often.

A job of many images, a comparison, takes several turns at once: when it would be its person's turn
again, others go first until they have had as many.
"""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import inf, nextafter
from typing import TypeAlias

LOOKAHEAD = 32
"""How far from the head of the queue to look for a job that fits what is loaded; also how many jobs
may go ahead of one whose turn it is. InvokeAI looks equally far (its session_queue_sqlite.py)."""
PATIENCE = 5 * 60
"""For how many seconds others may go ahead of a job whose turn it is."""
SWITCH = 2
"""The cost of loading a model, relative to 1 for loading LoRAs."""
OWED_FOR = 60 * 60
"""For how many seconds a person is held to the turns that a large job took in advance."""
ADAPTERS_AHEAD = 4
"""How many jobs may go ahead of one whose model is loaded: they only save loading LoRAs."""

Turn: TypeAlias = tuple[float, int, str]
"""When the person was last served, when the job arrived, the person. The smallest is next."""
Rank: TypeAlias = tuple[bool, int]
"""What lets a person's oldest job go ahead: whether it was interrupted, and its priority."""


@dataclass(frozen=True, slots=True)
class InPlace:
    """What a lane's GPU has loaded: a model's key, and the LoRAs of the last job."""

    model: str | None = None
    adapters: tuple[str, ...] = ()

    def then(self, needs: "InPlace") -> "InPlace":
        """What is loaded once a job has run that needs `needs`: the same, if it needs no model."""
        return needs if needs.model else self


@dataclass(frozen=True, slots=True)
class Waiting:
    """One job in the queue.

    arrived: increases with each job; one person's jobs go in this order.
    interrupted: it was started before, for instance before a restart, and goes ahead of all others.
    crashes: how often the process died while it ran; if ever, it goes behind all others.
    passed, due_at: how often, and since when (seconds), others went ahead when it was its turn.
    turns: how many of its person's turns it takes.
    prefers: the environment in which it is rather generated; "" for any.
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

    @property
    def suspect(self) -> bool:
        return self.crashes > 0

    @property
    def needs(self) -> InPlace:
        """What is loaded once it has been generated."""
        return InPlace(self.model, self.adapters)

    def waited_enough(self, now: float) -> bool:
        """Whether nothing may go ahead of it any more when it is its turn."""
        late = self.due_at is not None and now - self.due_at >= PATIENCE
        return late or self.passed >= LOOKAHEAD


@dataclass(frozen=True, slots=True)
class Next:
    """The next job, and where it runs: `lane` is an index into the free lanes.

    passed: ids of the jobs whose turn it was instead: the first in the fair order, the first among
    those of the highest priority, and the first suspect.
    """

    job: Waiting
    lane: int = 0
    passed: tuple[str, ...] = ()


class Line:
    """The waiting jobs, and when each person was last served (any increasing number).

    `choose` decides without changing anything; `take` applies the decision.
    """

    def __init__(
        self, waiting: Iterable[Waiting] = (), served: Mapping[str, float] | None = None
    ) -> None:
        self._served = dict(served or {})
        self._latest = max(self._served.values(), default=float("-inf"))
        self._by_id: dict[str, Waiting] = {}  # as they were added
        self._of: dict[str, deque[Waiting]] = {}
        self._turns: list[Turn] = []
        self._ranks: Counter[Rank] = Counter()
        self._suspects: list[Waiting] = []
        self._owed: dict[str, tuple[int, float]] = {}  # turns taken in advance, and when
        for job in sorted(waiting, key=lambda job: job.arrived):
            self.add(job)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Waiting]:
        """All jobs; only those of one person are in order."""
        for jobs in self._of.values():
            yield from jobs
        yield from self._suspects

    def copy(self) -> "Line":
        other = Line()
        other._served = dict(self._served)
        other._latest = self._latest
        other._by_id = dict(self._by_id)
        other._of = {person: deque(jobs) for person, jobs in self._of.items()}
        other._turns = list(self._turns)
        other._ranks = self._ranks.copy()
        other._suspects = list(self._suspects)
        other._owed = dict(self._owed)
        return other

    def add(self, job: Waiting) -> None:
        """Add a job, behind those that the same person asked for earlier."""
        self._by_id[job.id] = job
        if job.suspect:
            insort(self._suspects, job, key=_suspicion)
            return
        with self._rearranging(job.person):
            jobs = self._of.setdefault(job.person, deque())
            behind = []
            while jobs and jobs[-1].arrived > job.arrived:
                behind.append(jobs.pop())
            jobs.append(job)
            jobs.extend(reversed(behind))

    def remove(self, job_id: str) -> Waiting | None:
        """Take the job out of the queue; None if it is not in it."""
        added = self._by_id.get(job_id)
        return None if added is None else self._take_out(added)

    def _take_out(self, added: Waiting) -> Waiting:
        """Take out what was added as `added`; returns what it has become since."""
        del self._by_id[added.id]
        if added.suspect:
            return self._suspects.pop(
                bisect_left(self._suspects, _suspicion(added), key=_suspicion)
            )
        with self._rearranging(added.person):
            jobs = self._of[added.person]
            number = bisect_left(jobs, added.arrived, key=_arrived)
            job = jobs[number]
            del jobs[number]
        return job

    def serve(self, person: str, when: float) -> None:
        """Record that `person` was served at `when`, unless a later time is known."""
        with self._rearranging(person):
            self._served[person] = max(when, self._served.get(person, when))
        self._latest = max(self._latest, when)

    def serve_all(self, served: Mapping[str, float]) -> None:
        """Record when each person was served, likewise."""
        for person, when in served.items():
            self.serve(person, when)

    def knows(self, person: str) -> bool:
        """Whether it is recorded when `person` was served."""
        return person in self._served

    def ahead(self, job: Waiting, beside: Collection[Waiting] = ()) -> int:
        """About how many jobs go before `job`, which need not be in the queue yet.

        beside: jobs that will join it, possibly `job` among them. This is the place in the fair
        order, and among the jobs of the same or a higher priority if it is its person's oldest; it
        takes no account of what is loaded. Unlike the whole order, it is quickly found.
        """
        if job.suspect:
            before = sum(_suspicion(other) < _suspicion(job) for other in self._suspects)
            return sum(map(len, self._of.values())) + before + len(beside)
        own = [other for other in (*self._of.get(job.person, ()), *beside) if other.id != job.id]
        number = sum(other.person == job.person and other.arrived < job.arrived for other in own)
        turn = self._turn(job)
        count: int = number
        if not number and self._ranks.keys() <= {_rank(job)}:
            # Everybody's oldest job is in order already.
            count += bisect_left(self._turns, turn)
        else:
            for person, jobs in self._of.items():
                if person != job.person:
                    count += min(len(jobs), number)
                    count += len(jobs) > number and self._precedes(jobs[number], job, turn, number)
        for other in beside:
            if other.person != job.person:
                place = len(self._of.get(other.person, ()))
                count += place < number
                count += place == number and self._precedes(other, job, turn, number)
        return count

    def _precedes(self, other: Waiting, job: Waiting, turn: Turn, number: int) -> bool:
        """Whether `other` goes before `job`, which is its person's `number`th as well."""
        if not number and other.priority != job.priority:
            return other.priority > job.priority
        return self._turn(other) < turn

    def choose(
        self,
        lanes: Sequence[InPlace],
        now: float,
        *,
        busy: bool = False,
        able: Callable[[Waiting, int], bool] | None = None,
    ) -> Next | None:
        """The next job at `now` seconds, and the free lane for it.

        lanes: what each free lane has loaded. busy: whether any other lane is running a job.
        able: whether a job may run on one of `lanes`; None: all may on each.
        Returns None if there is no job or no free lane, or if a suspect waits for the others to
        end.
        """
        if not lanes:
            return None
        if able is not None:
            return self._choose_able(lanes, now, busy, able)
        if self._suspects:
            suspect = self._suspects[0]
            if not self._turns or suspect.waited_enough(now):
                return None if busy else Next(suspect, _best_lane(suspect, lanes))
        choice = self._fair_choice(lanes, now)
        if choice is None or not self._suspects:
            return choice
        return replace(choice, passed=(*choice.passed, self._suspects[0].id))

    def _choose_able(
        self,
        lanes: Sequence[InPlace],
        now: float,
        busy: bool,
        able: Callable[[Waiting, int], bool],
    ) -> Next | None:
        """`choose` among the jobs that some of `lanes` may run."""
        where = {job.id: [n for n in range(len(lanes)) if able(job, n)] for job in self}
        line = self.copy()
        for job_id in [job_id for job_id, those in where.items() if not those]:
            line.remove(job_id)
        choice = line.choose(lanes, now, busy=busy)
        if choice is None:
            return None
        those = where[choice.job.id]
        return replace(choice, lane=those[_best_lane(choice.job, [lanes[n] for n in those])])

    def _fair_choice(self, lanes: Sequence[InPlace], now: float) -> Next | None:
        """The next of the jobs that are no suspects."""
        if not self._turns:
            return None
        # Thousands may wait, so avoid looking at more than the first few.
        if any(interrupted for interrupted, _ in self._ranks):
            first = next(job for job in self._heads() if job.interrupted)
            return Next(first, _best_lane(first, lanes))
        due = next(self._fair_heads())
        if due.waited_enough(now):
            return Next(due, _best_lane(due, lanes))
        top = max(priority for _, priority in self._ranks)
        peers = list(islice((job for job in self._fair_heads() if job.priority == top), LOOKAHEAD))
        first = peers[0]
        close = _to_load(first, lanes) < SWITCH and first.passed >= ADAPTERS_AHEAD
        if close or first.waited_enough(now):
            chosen = first
        else:
            chosen = min(peers, key=lambda job: _to_load(job, lanes))  # the first of equals
        turns = {due.id: due, first.id: first}
        passed = tuple(job_id for job_id in turns if job_id != chosen.id)
        return Next(chosen, _best_lane(chosen, lanes), passed)

    def take(self, choice: Next, now: float) -> None:
        """The chosen job starts: it leaves the queue, and its person's turn is over."""
        passed = set(choice.passed)
        if self._suspects and self._suspects[0].id in passed:
            self._suspects[0] = _passed(self._suspects[0], now)
            passed.remove(self._suspects[0].id)
        for head in self._heads():
            if not passed:
                break
            if head.id in passed:
                passed.remove(head.id)
                self._of[head.person][0] = _passed(head, now)
        self._let_wait(choice.job, now)
        # Not simply the first: an earlier one of the same person may have come in meanwhile.
        self._take_out(choice.job)
        # If the clock was set back, or a turn is in the future, turns go on from the last one.
        if now < self._latest:
            now = nextafter(self._latest, inf)
        self.serve(choice.job.person, now)

    def _let_wait(self, chosen: Waiting, now: float) -> None:
        """Count the turns of those that `chosen` goes ahead of because they owe some."""
        self._owed = {
            person: (turns, since)
            for person, (turns, since) in self._owed.items()
            if person != chosen.person and 0 <= now - since < OWED_FOR
        }
        turn = self._turn(chosen)
        for person, (turns, since) in [*self._owed.items()]:
            jobs = self._of.get(person)
            if jobs and not chosen.suspect and self._turn(jobs[0]) < turn:
                self.serve(person, now)  # it lets this turn pass
                self._owed[person] = turns - 1, since
                if turns == 1:
                    del self._owed[person]
        if chosen.turns > 1:
            self._owed[chosen.person] = chosen.turns - 1, now

    def rounds(self) -> Iterator[Waiting]:
        """All jobs, round by round with one job per person: the fair order without exceptions.

        Suspects are last. The line must not change meanwhile.
        """
        people = [iter(jobs) for jobs in self._of.values()]
        while people:
            heads = [(next(jobs, None), jobs) for jobs in people]
            people = [jobs for job, jobs in heads if job is not None]
            yield from sorted((job for job, _ in heads if job is not None), key=self._turn)
        yield from self._suspects

    def _heads(self) -> Iterator[Waiting]:
        """The oldest job of each person, in the order of their turns."""
        return (self._of[person][0] for _, _, person in self._turns)

    def _fair_heads(self) -> Iterator[Waiting]:
        """`_heads`, and behind all others those who owe turns."""
        if not self._owed:
            return self._heads()
        return chain(
            (job for job in self._heads() if job.person not in self._owed),
            (job for job in self._heads() if job.person in self._owed),
        )

    def _turn(self, job: Waiting) -> Turn:
        """Sort key of the fair order: never or longest ago served first, then first come."""
        return self._served.get(job.person, float("-inf")), job.arrived, job.person

    @contextmanager
    def _rearranging(self, person: str) -> Iterator[None]:
        """Keep `_turns` sorted and `_ranks` counted while the block changes the jobs of `person`
        or when they were last served."""
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


def _arrived(job: Waiting) -> int:
    return job.arrived


def _suspicion(job: Waiting) -> tuple[int, int]:
    """Sort key of suspects: those that the process died of least often, then first come."""
    return job.crashes, job.arrived


def _passed(job: Waiting, now: float) -> Waiting:
    """`job` after another went ahead of it at `now`."""
    return replace(job, passed=job.passed + 1, due_at=now if job.due_at is None else job.due_at)


def _missing(job: Waiting, here: InPlace) -> int:
    """What a lane has to load for the job: 0 nothing, 1 its LoRAs, SWITCH its model."""
    if not job.model:
        return 0
    if job.model != here.model:
        return SWITCH
    return int(job.adapters != here.adapters)


def _to_load(job: Waiting, lanes: Sequence[InPlace]) -> int:
    """`_missing` on the lane where it is least."""
    return min(_missing(job, here) for here in lanes)


def _best_lane(job: Waiting, lanes: Sequence[InPlace]) -> int:
    """The lane with the least to load for the job; among equals, one that holds no model."""
    return min(
        range(len(lanes)),
        key=lambda n: (_missing(job, lanes[n]), lanes[n].model is not None),
    )
