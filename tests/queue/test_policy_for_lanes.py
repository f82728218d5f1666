"""The policy with one to eight lanes: what holds for any queue (hypothesis)."""

import heapq
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.queue.policy import LOOKAHEAD, PATIENCE, SWITCH, InPlace, Line, Next, Waiting, missing
from tests.parameters import examples

MODELS = ("a", "b", "c", "d")
LANES = st.integers(1, 8)


@dataclass(frozen=True)
class Decision:
    """One choice: who was waiting, what the free lanes had loaded, and when."""

    choice: Next
    waiting: tuple[Waiting, ...]
    free: tuple[InPlace, ...]
    now: float

    @property
    def lane(self) -> InPlace:
        return self.free[self.choice.lane]


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[float, float, Waiting]]:
    """When each job arrives, how long it takes, and the job; a user's jobs arrive in order."""
    found = []
    at = 0.0
    for n in range(draw(st.integers(1, 60))):
        at += draw(st.sampled_from([0.0, 0.0, 0.0, 1.0, 20.0, 200.0]))
        waiting = Waiting(
            str(n),
            f"p{draw(st.integers(1, 9))}",
            n,
            draw(st.sampled_from(MODELS)),
            draw(st.sampled_from([(), ("x:1",)])),
            priority=draw(st.sampled_from([0, 0, 0, 1])),
        )
        found.append((at, draw(st.sampled_from([1.0, 7.0, 90.0])), waiting))
    return found


def played(coming: list[tuple[float, float, Waiting]], lanes: int) -> list[Decision]:
    """Serve them all. A free lane takes what the policy gives it at once."""
    line, seconds = Line(), {job.id: taken for _, taken, job in coming}
    in_place = [InPlace() for _ in range(lanes)]
    free = set(range(lanes))
    moments = [(at, 0, n) for n, (at, _, _) in enumerate(coming)]
    heapq.heapify(moments)
    decisions = []
    while moments:
        now = moments[0][0]
        while moments and moments[0][0] == now:
            _, kind, number = heapq.heappop(moments)
            if kind == 0:
                line.add(coming[number][2])
            else:
                free.add(number)
        while True:
            order = sorted(free)
            waiting = tuple(line)
            choice = line.choose([in_place[lane] for lane in order], now)
            # No lane is idle while a job could run.
            assert (choice is None) == (not waiting or not order)
            if choice is None:
                break
            here = tuple(in_place[lane] for lane in order)
            decisions.append(Decision(choice, waiting, here, now))
            line.take(choice, now)
            lane = order[choice.lane]
            in_place[lane] = choice.job.needs
            free.remove(lane)
            heapq.heappush(moments, (now + seconds[choice.job.id], 1, lane))
    return decisions


@given(arrivals(), LANES)
@settings(deadline=None, max_examples=examples(60))
def test_each_is_served_once_and_each_persons_in_order(
    coming: list[tuple[float, float, Waiting]], lanes: int
) -> None:
    order = [decision.choice.job for decision in played(coming, lanes)]
    assert sorted(job.id for job in order) == sorted(job.id for _, _, job in coming)
    for person in {job.person for job in order}:
        arrived = [job.arrived for job in order if job.person == person]
        assert arrived == sorted(arrived)


@given(arrivals(), LANES)
@settings(deadline=None, max_examples=examples(60))
def test_no_turn_is_passed_more_often_or_for_longer_than_the_bound(
    coming: list[tuple[float, float, Waiting]], lanes: int
) -> None:
    first: dict[str, float] = {}
    times: dict[str, int] = {}
    for decision in played(coming, lanes):
        for job_id in decision.choice.passed:
            assert decision.now - first.setdefault(job_id, decision.now) < PATIENCE
            times[job_id] = times.get(job_id, 0) + 1
            assert times[job_id] <= LOOKAHEAD


@given(arrivals(), LANES)
@settings(deadline=None, max_examples=examples(60))
def test_a_model_in_place_is_kept_for_those_who_want_it(
    coming: list[tuple[float, float, Waiting]], lanes: int
) -> None:
    """A lane switches models only if no one who may go first fits any free lane."""
    for decision in played(coming, lanes):
        chosen = decision.choice.job
        assert missing(chosen, decision.lane) == min(missing(chosen, h) for h in decision.free)
        if missing(chosen, decision.lane) < SWITCH or chosen.waited_enough(decision.now):
            continue
        heads: dict[str, Waiting] = {}
        for job in sorted(decision.waiting, key=lambda job: job.arrived):
            heads.setdefault(job.person, job)
        top = max(job.priority for job in heads.values())
        peers = [job for job in heads.values() if job.priority == top]
        assert len(peers) <= LOOKAHEAD
        assert all(missing(p, h) >= SWITCH for p in peers for h in decision.free)


@given(arrivals(), LANES)
@settings(deadline=None, max_examples=examples(60))
def test_a_model_is_not_brought_over_another_while_a_lane_is_empty(
    coming: list[tuple[float, float, Waiting]], lanes: int
) -> None:
    for decision in played(coming, lanes):
        chosen, lane = decision.choice.job, decision.lane
        if missing(chosen, lane) == SWITCH and lane.model is not None:
            assert all(here.model is not None for here in decision.free)


@given(st.integers(1, 8), st.integers(2, 12))
@settings(deadline=None, max_examples=examples(40))
def test_no_one_starves_while_others_never_stop_asking(lanes: int, others: int) -> None:
    """One cold job; all others want what every lane has, and request again at once."""
    line = Line([Waiting("patient", "p0", 0, "cold")])
    for n in range(1, others + 1):
        line.add(Waiting(f"{n}", f"p{n}", n, "warm"))
    arrived, free = others, [InPlace("warm")] * lanes
    for moment in range(others + LOOKAHEAD + 2):
        choice = line.choose(free, float(moment))
        assert choice is not None
        line.take(choice, float(moment))
        if choice.job.id == "patient":
            return
        arrived += 1
        line.add(Waiting(f"n{arrived}", choice.job.person, arrived, "warm"))
    pytest.fail("the cold job was never served")
