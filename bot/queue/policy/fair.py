"""Jobs in the fair order, kept sorted: every change costs the logarithm of their number."""

from collections.abc import Container, Iterator, Mapping, Set
from math import inf, nextafter
from typing import TypeAlias

from sortedcontainers import SortedList

from bot.queue.policy.jobs import Waiting

Turn: TypeAlias = tuple[float, float, str]
"""When the person was last served, when the job arrived, the person. The smallest is next."""
FairTurn: TypeAlias = tuple[bool, float, float, str]
"""A turn behind whether the person owes turns."""
Rank: TypeAlias = tuple[int, bool, float, float, str]
"""A fair turn behind the priority, negated so that the highest is first."""


class Fair:
    """Some of the waiting jobs, by person and in the order of their people's turns.

    Each person is represented by their oldest job, the head. served: when each person was last
    served. owing: who owes turns. Both are the line's; between `lift` and `settle` of a person
    they may change for that person.
    """

    def __init__(self, served: Mapping[str, float], owing: Container[str]) -> None:
        self._served = served
        self._owing = owing
        self._jobs: dict[str, Waiting] = {}
        self._own: SortedList[tuple[str, float, str]] = SortedList()  # person, arrived, id
        self._count: dict[str, int] = {}
        self._heads: dict[str, Waiting] = {}
        self._prompt: SortedList[Turn] = SortedList()  # heads that were interrupted
        self._turns: SortedList[FairTurn] = SortedList()  # the other heads
        self._ranks: SortedList[Rank] = SortedList()  # the same
        self._models: dict[str, SortedList[Rank]] = {}  # the same by what they need
        self._lengths: dict[int, SortedList[tuple[float, str]]] = {}  # people by how many jobs
        self._newest = -inf

    def copy(self, served: Mapping[str, float], owing: Container[str]) -> "Fair":
        other = Fair(served, owing)
        other._jobs = self._jobs.copy()
        other._own = self._own.copy()
        other._count = self._count.copy()
        other._heads = self._heads.copy()
        other._prompt = self._prompt.copy()
        other._turns = self._turns.copy()
        other._ranks = self._ranks.copy()
        other._models = {model: ranks.copy() for model, ranks in self._models.items()}
        other._lengths = {length: people.copy() for length, people in self._lengths.items()}
        other._newest = self._newest
        return other

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Waiting]:
        """All jobs, those of one person in order and together."""
        return (self._jobs[job_id] for _, _, job_id in self._own)

    def count(self, person: str) -> int:
        """How many jobs `person` has here."""
        return self._count.get(person, 0)

    def head(self, person: str) -> Waiting | None:
        """The oldest job of `person`."""
        return self._heads.get(person)

    def turn(self, job: Waiting) -> Turn:
        """Sort key of the fair order: never or longest ago served first, then first come."""
        return self._served.get(job.person, -inf), job.arrived, job.person

    def fair_turn(self, job: Waiting) -> FairTurn:
        """`turn`, those who owe turns behind all others."""
        return job.person in self._owing, *self.turn(job)

    def rank(self, job: Waiting) -> Rank:
        """`fair_turn`, a higher priority before all others."""
        return -job.priority, *self.fair_turn(job)

    # Changes

    def add(self, job: Waiting) -> None:
        self.lift(job.person)
        self._jobs[job.id] = job
        self._own.add((job.person, job.arrived, job.id))
        self._count[job.person] = self._count.get(job.person, 0) + 1
        self._newest = max(self._newest, job.arrived)
        self.settle(job.person)

    def remove(self, job_id: str) -> Waiting | None:
        """Take the job out; None if it is not there."""
        if (job := self._jobs.get(job_id)) is None:
            return None
        self.lift(job.person)
        del self._jobs[job_id]
        self._own.remove((job.person, job.arrived, job_id))
        self._count[job.person] -= 1
        if not self._count[job.person]:
            del self._count[job.person]
        self.settle(job.person)
        return job

    def let_pass(self, job_id: str, now: float) -> None:
        """Another job goes ahead of this one at `now`; nothing happens unless it is a head."""
        job = self._jobs.get(job_id)
        if job is not None and self._heads[job.person].id == job_id:
            self._jobs[job_id] = self._heads[job.person] = job.once_more_passed(now)

    def lift(self, person: str) -> None:
        """Take `person` out of the order, while their place in it changes."""
        if (head := self._heads.pop(person, None)) is None:
            return
        if head.interrupted:
            self._prompt.remove(self.turn(head))
        else:
            self._turns.remove(self.fair_turn(head))
            rank = self.rank(head)
            self._ranks.remove(rank)
            self._models[head.model].remove(rank)
            if not self._models[head.model]:
                del self._models[head.model]
        people = self._lengths[self._count[person]]
        people.remove((self.turn(head)[0], person))
        if not people:
            del self._lengths[self._count[person]]

    def settle(self, person: str) -> None:
        """Put `person`, who was lifted, back into the order; nothing happens without a job."""
        if (count := self._count.get(person)) is None:
            return
        head = self._jobs[self._own[self._own.bisect_left(_first(person))][2]]
        self._heads[person] = head
        if head.interrupted:
            self._prompt.add(self.turn(head))
        else:
            self._turns.add(self.fair_turn(head))
            rank = self.rank(head)
            self._ranks.add(rank)
            if (alike := self._models.get(head.model)) is None:
                alike = self._models[head.model] = SortedList()
            alike.add(rank)
        if (people := self._lengths.get(count)) is None:
            people = self._lengths[count] = SortedList()
        people.add((self.turn(head)[0], person))

    # Order

    def interrupted(self) -> Iterator[Waiting]:
        """The heads that were interrupted, in the order of their turns."""
        return (self._heads[turn[-1]] for turn in self._prompt)

    def due(self) -> Waiting | None:
        """The head whose turn it is, leaving out those that were interrupted."""
        return self._heads[self._turns[0][-1]] if self._turns else None

    def ranked(self) -> Iterator[Waiting]:
        """The heads by priority and then in the fair order, without those interrupted."""
        return (self._heads[rank[-1]] for rank in self._ranks)

    @property
    def models(self) -> Set[str]:
        """What the heads need that were not interrupted; "" is none."""
        return self._models.keys()

    def with_model(self, model: str, priority: int, within: int) -> Iterator[tuple[Rank, Waiting]]:
        """As `ranked`, of the first so many those that have this priority and need `model`."""
        for rank in self._models.get(model, ()):
            if -rank[0] != priority or self._ranks.bisect_left(rank) >= within:
                return
            yield rank, self._heads[rank[-1]]

    def owing_before(self, turn: Turn, owing: Container[str]) -> list[str]:
        """Who owes turns, as `owing` says, and would have theirs before `turn`."""
        fair = self._turns.irange((True, -inf, -inf, ""), (True, *turn), (True, False))
        prompt = self._prompt.irange(None, turn, (True, False))
        return [
            *(person for _, _, _, person in fair),
            *(person for _, _, person in prompt if person in owing),
        ]

    def own_before(self, job: Waiting) -> int:
        """How many jobs of the same person are older than `job`."""
        own: int = self._own.bisect_left((job.person, job.arrived, ""))
        return own - int(self._own.bisect_left(_first(job.person)))

    def before(self, job: Waiting, number: int) -> int:
        """How many jobs of other people go before `job`, its person's `number`th here.

        Only if that is 0 do priorities count. Costs as much as there are different numbers of jobs
        that people have, and, unless `job` is the newest, as there are people who were served at
        the same time as its own.
        """
        turn = self.turn(job)
        if not number:
            return self._heads_before(job, turn)
        served, arrived, person = turn
        own = self._count.get(person, 0)
        count = -min(own, number)
        for length, people in self._lengths.items():
            if length <= number:
                count += length * len(people)
                continue
            earlier = people.bisect_left((served, ""))
            later = people.bisect_left((nextafter(served, inf), ""))
            count += number * len(people) + earlier
            if arrived > self._newest:
                count += later - earlier
                count -= length == own
                continue
            for _, other in people.islice(earlier, later):
                if other != person:
                    entry = self._own[self._own.bisect_left(_first(other)) + number]
                    count += (entry[1], other) < (arrived, person)
        return count

    def _heads_before(self, job: Waiting, turn: Turn) -> int:
        ranks, first = self._ranks, -job.priority
        count: int = ranks.bisect_left((first, False, *turn))
        count += ranks.bisect_left((first, True, *turn)) - ranks.bisect_left(
            (first, True, -inf, -inf, "")
        )
        own = self._heads.get(job.person)
        for entry in self._prompt:
            other = self._heads[entry[-1]]
            if other.priority != job.priority:
                count += other.priority > job.priority
            else:
                count += entry < turn
        if own is not None and own.id != job.id:
            goes_before = own.priority > job.priority
            if own.priority == job.priority:
                goes_before = self.turn(own) < turn
            count -= goes_before
        return count


def _first(person: str) -> tuple[str, float, str]:
    """Before all that `person` has."""
    return person, -inf, ""
