"""The scheduling policy in its plainest form, which looks at everyone for each decision."""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from math import inf, nextafter
from typing import TypeAlias

from bot.queue.policy import (
    ADAPTERS_AHEAD,
    LOOKAHEAD,
    OWED_FOR,
    SWITCH,
    Able,
    Apart,
    InPlace,
    Next,
    Waiting,
)
from bot.queue.policy.jobs import cost

Turn: TypeAlias = tuple[float, int, str]
Rank: TypeAlias = tuple[bool, int]


class PlainLine:
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

    def copy(self) -> "PlainLine":
        other = PlainLine()
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
        able: Able | None = None,
        apart: Apart | None = None,
        among: int = 1,
    ) -> Next | None:
        """See Line.choose. Who cannot run on any of the free lanes is not there."""
        able = may = able or (lambda job, lane: True)

        def beside(job: Waiting, lane: int) -> bool:
            """Whether the job, even a suspect, may start there, whatever runs elsewhere."""
            return may(job, lane) and (not busy or (apart is not None and apart(lane)))

        there = self._able(lanes, able)
        if there._suspects:
            suspect = there._suspects[0]
            may_start = any(beside(suspect, lane) for lane in range(len(lanes)))
            late = suspect.waited_enough(now, among)
            if may_start and (late or not there._turns):
                return Next(suspect, _best_lane(suspect, lanes, beside))
            if late:
                there = self._able(lanes, beside)
                there._suspects.clear()
                able = beside
        return there._choose(lanes, now, able, among)

    def _able(self, lanes: Sequence[InPlace], able: Able) -> "PlainLine":
        """Only what is able to run on one of these lanes."""
        there = self.copy()
        for job in self:
            if not any(able(job, lane) for lane in range(len(lanes))):
                there.remove(job.id)
        return there

    def _choose(self, lanes: Sequence[InPlace], now: float, able: Able, among: int) -> Next | None:
        choice = self._fair_choice(lanes, now, able, among)
        if choice is None or not self._suspects:
            return choice
        return replace(choice, passed=(*choice.passed, self._suspects[0].id))

    def _fair_choice(
        self, lanes: Sequence[InPlace], now: float, able: Able, among: int
    ) -> Next | None:
        """The next of the jobs that are no suspects."""
        if not self._turns:
            return None
        if any(interrupted for interrupted, _ in self._ranks):
            first = next(job for job in self._heads() if job.interrupted)
            return Next(first, _best_lane(first, lanes, able))
        due = next(self._fair_heads())
        if due.waited_enough(now, among):
            return Next(due, _best_lane(due, lanes, able))
        top = max(priority for _, priority in self._ranks)
        equals = [job for job in self._fair_heads() if job.priority == top]
        peers, further = equals[:LOOKAHEAD], equals[LOOKAHEAD : LOOKAHEAD * among]
        first = peers[0]
        close = _to_load(first, lanes, able) < SWITCH and first.passed >= ADAPTERS_AHEAD
        if close or first.waited_enough(now, among):
            chosen = first
        else:
            chosen = min(peers, key=lambda job: _to_load(job, lanes, able))  # the first of equals
            if _to_load(chosen, lanes, able) >= SWITCH:
                fitting = (job for job in further if _to_load(job, lanes, able) < SWITCH)
                chosen = next(fitting, chosen)
        turns = {due.id: due, first.id: first}
        passed = tuple(job_id for job_id in turns if job_id != chosen.id)
        return Next(chosen, _best_lane(chosen, lanes, able), passed)

    def take(self, choice: Next, now: float) -> None:
        """The chosen job starts: it leaves the queue, and its person's turn is over."""
        for jobs in (self._suspects, *self._of.values()):
            for number, job in enumerate(jobs):
                if job.id in choice.passed:
                    jobs[number] = job.once_more_passed(now)
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


def _to_load(job: Waiting, lanes: Sequence[InPlace], able: Able) -> int:
    """What the job costs on the lane where it costs least."""
    return min(cost(job, here) for lane, here in enumerate(lanes) if able(job, lane))


def _best_lane(job: Waiting, lanes: Sequence[InPlace], able: Able) -> int:
    """The lane where the job costs least; among equals, one in the environment that it prefers,
    then one that holds no model, then the first."""

    def key(lane: int) -> tuple[int, bool, bool]:
        here = lanes[lane]
        elsewhere = bool(job.prefers) and job.prefers not in here.environments
        return cost(job, here), elsewhere, here.model is not None

    return min((lane for lane in range(len(lanes)) if able(job, lane)), key=key)
