"""The scheduling policy: which job is next. Pure: no clock and no IO.

The fair order is round-robin: each person is represented by their oldest job, and the person who
was served longest ago comes first. Two kinds of job may go ahead of the one whose turn it is, up to
a bound kept per job: one with a higher priority, and one that needs less loading because its model,
or also its LoRAs, are loaded.

A suspect, a job during which the process died, comes after all others and runs alone, so that what
it may do harms no other job. The bound holds for it, too: others may go ahead of it only so often.
Then no more begin beside which it may not run, until those that do have ended.

A job of many images, a comparison, takes several turns at once: when it would be its person's turn
again, others go first until they have had as many.

A job that no free lane is able to run is passed over, as if it were not there, and its person's
other jobs go on. Jobs of its kind are then kept aside, so that no later decision goes through them
one by one: it costs as much as there are kinds aside, and not jobs. Before that, what its person
asked for later, even with a higher priority, is noticed only when its turn comes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, groupby
from math import inf, nextafter
from operator import attrgetter

from sortedcontainers import SortedDict

from bot.queue.policy.debts import Debts
from bot.queue.policy.fair import Fair, Turn
from bot.queue.policy.front import Best, Front
from bot.queue.policy.jobs import (
    ADAPTERS_AHEAD,
    LOOKAHEAD,
    SWITCH,
    InPlace,
    Kind,
    Next,
    Waiting,
)
from bot.queue.policy.places import NOWHERE, Able, Apart, Places

AT_ONCE = 200
"""How many jobs a decision puts aside before it is put off: in half of the time for which the event
loop may be blocked."""


class Line:
    """The waiting jobs, and when each person was last served (any increasing number).

    `choose` decides without changing what is waiting; `take` applies the decision. Adding and
    removing a job, deciding and applying cost the logarithm of how many jobs and people wait. What
    is put off, a turn that is owed and a job that is put aside, is paid for once by each.
    """

    def __init__(
        self, waiting: Iterable[Waiting] = (), served: Mapping[str, float] | None = None
    ) -> None:
        self._served = dict(served or {})
        self._latest = max(self._served.values(), default=-inf)
        self.put_off = False
        """Whether the last decision met so many jobs that no free lane is able to run that it was
        put off: then there may be others, and `choose` has to be called again."""
        self._debts = Debts()
        self._main = Fair(self._served, self._debts)
        self._aside: dict[Kind, Fair] = {}
        self._shared: set[Kind] = set()  # of those aside, what a copy has too: never changed
        self._kind_aside: dict[str, Kind] = {}  # of the jobs that are aside
        self._suspects: SortedDict[tuple[int, int, str], Waiting] = SortedDict()
        self._suspicion: dict[str, tuple[int, int, str]] = {}
        for job in sorted(waiting, key=lambda job: job.arrived):
            self.add(job)

    def __len__(self) -> int:
        return len(self._main) + len(self._kind_aside) + len(self._suspects)

    @property
    def aside(self) -> int:
        """How many jobs are put aside."""
        return len(self._kind_aside)

    def __iter__(self) -> Iterator[Waiting]:
        """All jobs; only those of one person are in order."""
        for fair in self._all:
            yield from fair
        yield from self._suspects.values()

    def copy(self) -> "Line":
        other = Line()
        other._served = self._served.copy()
        other._latest = self._latest
        other._debts = self._debts.copy()
        other._main = self._main.copy(other._served, other._debts)
        other._aside = self._aside.copy()
        other._shared, self._shared = set(self._aside), set(self._aside)
        other._kind_aside = self._kind_aside.copy()
        other._suspects = self._suspects.copy()
        other._suspicion = self._suspicion.copy()
        return other

    def add(self, job: Waiting) -> None:
        """Add a job, behind those that the same person asked for earlier."""
        if job.suspect:
            self._suspicion[job.id] = suspicion = _suspicion(job)
            self._suspects[suspicion] = job
        elif job.kind in self._aside:
            self._kind_aside[job.id] = job.kind
            self._own(job.kind).add(job)
        else:
            self._main.add(job)

    def remove(self, job_id: str) -> Waiting | None:
        """Take the job out of the queue; None if it is not in it."""
        if (suspicion := self._suspicion.pop(job_id, None)) is not None:
            return self._suspects.pop(suspicion)
        if (kind := self._kind_aside.pop(job_id, None)) is None:
            return self._main.remove(job_id)
        fair = self._own(kind)
        job = fair.remove(job_id)
        if not fair:
            del self._aside[kind]
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
            before: int = self._suspects.bisect_left(_suspicion(job))
            return len(self) - len(self._suspects) + before + len(beside)
        number = sum(fair.own_before(job) for fair in self._all) + sum(
            other.person == job.person and other.arrived < job.arrived for other in beside
        )
        ahead: int = number + sum(fair.before(job, number) for fair in self._all)
        turn = self._main.turn(job)
        for other in beside:
            if other.person != job.person:
                place = sum(fair.count(other.person) for fair in self._all)
                ahead += place < number
                ahead += place == number and self._precedes(other, job, turn, number)
        return ahead

    def _precedes(self, other: Waiting, job: Waiting, turn: Turn, number: int) -> bool:
        """Whether `other` goes before `job`, which is its person's `number`th as well."""
        if not number and other.priority != job.priority:
            return other.priority > job.priority
        return self._main.turn(other) < turn

    def choose(
        self,
        lanes: Sequence[InPlace] | Places,
        now: float,
        *,
        busy: bool = False,
        able: Able | None = None,
        apart: Apart | None = None,
        among: int = 1,
    ) -> Next | None:
        """The next job at `now` seconds, and the free lane for it.

        lanes: what each free lane has loaded. busy: whether a lane that is not apart is running a
        job. apart: whether the end of that lane's engine ends no other job, so that a suspect may
        always run there; None if that holds for none.
        among: how many lanes there are in all; the more there are, the more jobs may go ahead.
        able: whether that lane is able to run that job; None if every lane is able to run all.
        Returns None if there is no job that may start on a free lane that is able to run it, or if
        it is put off.
        """
        self.put_off = False
        places = lanes if isinstance(lanes, Places) else Places(lanes)
        if not len(places) or not len(self):
            return None
        best = _each_kind_once(places, able)
        suspect, its_lane = self._first_suspect(best)
        if suspect is not None and busy:
            able = _apart(able, apart)
            best_apart = _each_kind_once(places, able)
            its_lane = best_apart(suspect)[1]
        may_start = its_lane >= 0
        if suspect is not None and suspect.waited_enough(now, among):
            if may_start:
                return Next(suspect, its_lane)
            if apart is None:
                return None
            best, suspect = best_apart, None  # nothing more goes ahead of it
        front = self._able_front(best) if able or self._aside else Front([self._main])
        if front is None:
            self.put_off = True
            return None
        choice = self._fair_choice(front, places, best, now, among)
        if suspect is None:
            return choice
        if choice is None:
            return Next(suspect, its_lane) if may_start else None
        return replace(choice, passed=(*choice.passed, suspect.id))

    def _first_suspect(self, best: Best) -> tuple[Waiting | None, int]:
        """The first suspect that a free lane is able to run, and the lane."""
        for suspect in self._suspects.values():
            if (found := best(suspect)) != NOWHERE:
                return suspect, found[1]
        return None, 0

    def _fair_choice(
        self, front: Front, places: Places, best: Best, now: float, among: int
    ) -> Next | None:
        """The next of the jobs that are no suspects."""
        if front.interrupted is not None:
            return _next(front.interrupted, best)
        due = front.due
        if due is None:
            return None
        if due.waited_enough(now, among):
            return _next(due, best)
        first = front.peers[0]
        to_load = [best(job)[0] for job in front.peers]
        close = to_load[0] < SWITCH and first.passed >= ADAPTERS_AHEAD
        least = min(to_load)
        chosen = front.peers[to_load.index(least)]  # the first of equals
        if close or first.waited_enough(now, among):
            chosen = first
        elif least >= SWITCH and among > 1:
            chosen = front.further(places, best, LOOKAHEAD * among) or chosen
        turns = {due.id: due, first.id: first}
        return _next(chosen, best, tuple(job_id for job_id in turns if job_id != chosen.id))

    def _able_front(self, best: Best) -> Front | None:
        """Of the jobs that free lanes are able to run; others met on the way are put aside.

        None if those are too many for one decision.
        """
        aside = (fair for fair in self._aside.values() if best(next(iter(fair))) != NOWHERE)
        fairs = [self._main, *aside]
        count = 0
        while count < AT_ONCE:
            front = Front(fairs)
            stuck = {job.id: job for job in front if best(job) == NOWHERE}
            if not stuck:
                return front
            for job in stuck.values():
                self._put_aside(job)
            count += len(stuck)
        return None

    def _put_aside(self, job: Waiting) -> None:
        self._main.remove(job.id)
        if job.kind not in self._aside:
            self._aside[job.kind] = Fair(self._served, self._debts)
        self._own(job.kind).add(job)
        self._kind_aside[job.id] = job.kind

    def take(self, choice: Next, now: float) -> None:
        """The chosen job starts: it leaves the queue, and its person's turn is over."""
        for job_id in choice.passed:
            if (suspicion := self._suspicion.get(job_id)) is not None:
                self._suspects[suspicion] = self._suspects[suspicion].once_more_passed(now)
            else:
                kind = self._kind_aside.get(job_id)
                fair = self._main if kind is None else self._own(kind)
                fair.let_pass(job_id, now)
        self._let_wait(choice.job, now)
        # Not simply the first: an earlier one of the same person may have come in meanwhile.
        self.remove(choice.job.id)
        # If the clock was set back, or a turn is in the future, turns go on from the last one.
        if now < self._latest:
            now = nextafter(self._latest, inf)
        self.serve(choice.job.person, now)

    def _let_wait(self, chosen: Waiting, now: float) -> None:
        """Count the turns of those that `chosen` goes ahead of because they owe some."""
        own = (chosen.person,) if chosen.person in self._debts else ()
        for person in chain(own, self._debts.forgotten(now)):
            with self._rearranging(person):
                self._debts.forgive(person)
        if not chosen.suspect:
            turn = self._main.turn(chosen)
            owing = (
                {one for fair in self._all for one in fair.owing_before(turn, self._debts)}
                if self._debts
                else ()
            )
            for person in owing:
                with self._rearranging(person):
                    self._debts.pay(person)
                self.serve(person, now)  # it lets this turn pass
        if chosen.turns > 1:
            with self._rearranging(chosen.person):
                self._debts.owe(chosen.person, chosen.turns - 1, now)

    def rounds(self) -> Iterator[Waiting]:
        """All jobs, round by round with one job per person: the fair order without exceptions.

        Suspects are last. The line must not change meanwhile.
        """
        jobs: Iterator[Waiting] = chain.from_iterable(self._all)
        if self._aside:
            jobs = iter(sorted(jobs, key=lambda job: (job.person, job.arrived)))
        people = [[*own] for _, own in groupby(jobs, attrgetter("person"))]
        number = 0
        while people:
            yield from sorted((own[number] for own in people), key=self._main.turn)
            number += 1
            people = [own for own in people if len(own) > number]
        yield from self._suspects.values()

    def _own(self, kind: Kind) -> Fair:
        """Those of that kind aside, to be changed."""
        if kind in self._shared:
            self._shared.discard(kind)
            self._aside[kind] = self._aside[kind].copy(self._served, self._debts)
        return self._aside[kind]

    @property
    def _all(self) -> list[Fair]:
        return [self._main, *self._aside.values()]

    @contextmanager
    def _rearranging(self, person: str) -> Iterator[None]:
        """Keep all in order while the block changes what the place of `person` depends on."""
        kinds = [kind for kind, fair in self._aside.items() if fair.count(person)]
        fairs = [self._main, *map(self._own, kinds)]
        for fair in fairs:
            fair.lift(person)
        yield
        for fair in fairs:
            fair.settle(person)


def _suspicion(job: Waiting) -> tuple[int, int, str]:
    """Sort key of suspects: those that the process died of least often, then first come."""
    return job.crashes, job.arrived, job.id


def _each_kind_once(places: Places, able: Able | None) -> Best:
    """Places.best, which is asked once for all jobs that cost the same."""
    known: dict[tuple[Kind, str, bool], tuple[int, int]] = {}

    def best(job: Waiting) -> tuple[int, int]:
        alike = job.kind, job.prefers, job.suspect
        if (found := known.get(alike)) is None:
            found = known[alike] = places.best(job, able)
        return found

    return best


def _apart(able: Able | None, apart: Apart | None) -> Able:
    """Whether the lane is apart, and able to run the job."""

    def able_apart(job: Waiting, lane: int) -> bool:
        return apart is not None and apart(lane) and (able is None or able(job, lane))

    return able_apart


def _next(job: Waiting, best: Best, passed: tuple[str, ...] = ()) -> Next:
    return Next(job, best(job)[1], passed)
