"""The policy decides exactly as its plainest form, which looks at everyone for each decision."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.queue.policy import OWED_FOR, PATIENCE, Able, Apart, InPlace, Line, Waiting
from bot.queue.policy.jobs import cost
from tests.parameters import examples
from tests.queue.plain_policy import PlainLine

SEEDS = st.integers(0, 2**32)
MODELS = ("", "a", "b", "c")
ENVIRONMENTS = ("old", "new")
PARTS = ((), ("upscaler",), ("reference",))


class Town:
    """Draws jobs, lanes and times; what is rare or common in it is drawn as well.

    Where lanes differ, a person's jobs have one priority, and those interrupted are their oldest:
    otherwise one that could go ahead may be behind one that no lane is able to run, and is noticed
    only when that one is first in the fair order.
    """

    def __init__(self, seed: int) -> None:
        self.chance = chance = Random(seed)
        self.people = [f"p{n}" for n in range(chance.choice((2, 4, 9, 90)))]
        self.rates = {
            what: chance.choice((0.0, 0.05, 0.4))
            for what in ("priority", "interrupted", "crashed", "turns", "prefers", "memory", "also")
        }
        self.unable = chance.choice((0.0, 0.2, 0.6))
        self.coming = chance.choice((0.4, 0.6, 0.8))

    def rarely(self, what: str) -> bool:
        return self.chance.random() < self.rates[what]

    def job(self, number: int, arrived: int) -> Waiting:
        chance = self.chance
        person = chance.choice(self.people)
        priority = chance.choice((1, 2)) if self.rarely("priority") else 0
        interrupted = self.rarely("interrupted")
        if self.unable:
            priority = int(self.rates["priority"] > 0 and person in self.people[::3])
            arrived -= 1_000 * interrupted
        return Waiting(
            str(number),
            person,
            arrived,
            chance.choice(MODELS),
            chance.choice(((), ("x:1",), ("x:1", "y:1"))),
            priority,
            interrupted=interrupted,
            crashes=chance.choice((1, 2)) if self.rarely("crashed") else 0,
            passed=chance.choice((0, 0, 3, 31)),
            turns=chance.choice((2, 3, 6)) if self.rarely("turns") else 1,
            prefers=chance.choice(ENVIRONMENTS) if self.rarely("prefers") else "",
            memory_above=8 if self.rarely("memory") else 0,
            also=chance.choice(PARTS) if self.rarely("also") else (),
        )

    def lane(self) -> InPlace:
        return InPlace(
            self.chance.choice((None, "a", "b", "c")),
            self.chance.choice(((), ("x:1",))),
            frozenset(self.chance.sample(ENVIRONMENTS, self.chance.choice((0, 1, 1, 2)))),
        )

    def able(self, lanes: int) -> Able | None:
        """None where every lane is able to run everything, and sometimes elsewhere."""
        if not self.unable or self.chance.random() < 0.2:
            return None
        cannot = {
            (model, memory, also, lane)
            for model in MODELS
            for memory in (0, 8)
            for also in PARTS
            for lane in range(lanes)
            if self.chance.random() < self.unable
        }
        return lambda job, lane: (job.model, job.memory_above, job.also, lane) not in cannot

    def apart(self, lanes: int) -> Apart | None:
        """None where no lane is."""
        if self.chance.random() < 0.5:
            return None
        return {lane for lane in range(lanes) if self.chance.random() < 0.5}.__contains__

    def later(self) -> float:
        return self.chance.choice((0.0, *[1.0] * 20, 20.0, -5.0, PATIENCE, OWED_FOR))


def play(town: Town, line: Line, plain: PlainLine, now: float) -> None:
    """One decision of both."""
    chance = town.chance
    lanes = [town.lane() for _ in range(chance.choice((0, 1, 1, 2, 4)))]
    busy, able = chance.random() < 0.3, town.able(len(lanes))
    among = len(lanes) + chance.choice((0, 0, 1))
    apart = town.apart(len(lanes))
    choice = line.choose(lanes, now, busy=busy, able=able, apart=apart, among=among)
    assert choice == plain.choose(lanes, now, busy=busy, able=able, apart=apart, among=among)
    if choice is not None:
        line.take(choice, now)
        plain.take(choice, now)


@given(SEEDS)
@settings(deadline=None, max_examples=examples(150))
def test_every_decision_is_that_of_the_plain_policy(seed: int) -> None:
    town, line, plain, now = Town(seed), Line(), PlainLine(), 1_000.0
    chance = town.chance
    for number in range(120):
        now += town.later()
        act = chance.random()
        if act < 0.05:
            gone = str(chance.randrange(number + 1))
            assert line.remove(gone) == plain.remove(gone)
        elif act < 0.1:
            person, when = chance.choice(town.people), now - chance.randrange(30)
            line.serve(person, when)
            plain.serve(person, when)
        elif act < 0.15:
            other, other_plain = line.copy(), plain.copy()
            for _ in range(3):
                play(town, line, plain, now)
                play(town, other, other_plain, now)
            assert {job.id: job for job in other} == {job.id: job for job in other_plain}
        elif act < town.coming:
            # One person's job may be let in after a later one of theirs.
            job = town.job(number, 4 * number - 9 * chance.randrange(2))
            line.add(job)
            plain.add(job)
        else:
            play(town, line, plain, now)
        assert len(line) == len(plain)
        assert {job.id: job for job in line} == {job.id: job for job in plain}
    assert [*line.copy().rounds()] == [*line.rounds()] == [*plain.rounds()]


@given(SEEDS)
@settings(deadline=None, max_examples=examples(100))
def test_so_is_the_place_of_a_job(seed: int) -> None:
    """Of one that waits, and of one that will, if none of those before it was kept aside."""
    town = Town(seed)
    jobs = [town.job(number, number) for number in range(40)]
    served = {person: float(town.chance.randrange(4)) for person in town.people[::2]}
    there = town.chance.randrange(1, 40)
    line, plain = Line(jobs[:there], served), PlainLine(jobs[:there], served)
    for now in range(town.chance.randrange(6)):
        if (choice := line.choose([town.lane()], float(now))) is not None:
            line.take(choice, float(now))
            plain.take(choice, float(now))
            jobs.remove(next(job for job in jobs if job.id == choice.job.id))
            there -= 1
    beside = jobs[there:]
    assert [line.ahead(job, beside) for job in jobs] == [plain.ahead(job, beside) for job in jobs]


@given(SEEDS)
@settings(deadline=None, max_examples=examples(50))
def test_a_job_goes_where_it_costs_least(seed: int) -> None:
    town = Town(seed)
    lanes, job = [town.lane() for _ in range(1 + seed % 9)], town.job(0, 0)
    choice = Line([job]).choose(lanes, 0.0)
    assert choice is not None
    assert cost(job, lanes[choice.lane]) == min(cost(job, here) for here in lanes)
