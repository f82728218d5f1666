"""The queue benchmark on a small day, and its measures on known values."""

from itertools import pairwise

import pytest

from benchmarks import queue
from benchmarks.queue import Outcome, division, fair_shares, jain, replayed, rows
from benchmarks.queue_day import QUICK, Ask, Shape, draw
from bot.queue.policy import InPlace
from bot.store import Painted
from tests.store.factories import request


@pytest.mark.long
def test_a_quick_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert queue.main(["--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cells = [line.split(" | ") for line in lines if "×" in line]
    ratios = {row[0].strip("| "): row[3] for row in cells}
    assert float(ratios["model switches"].rstrip("×")) < 0.6
    assert float(ratios["a user's waiting time, p50"].rstrip("×")) < 0.6
    assert float(ratios["Jain index of fairness"].rstrip("×")) > 1
    assert f"{QUICK.jobs} jobs of {QUICK.users} users over 6 models" in lines[-1]


def test_a_day_is_the_same_every_time() -> None:
    shape = Shape(jobs=60, users=9, seconds=600)
    day = draw(shape, 5)
    assert day == draw(shape, 5)
    assert day != draw(shape, 6)
    assert [ask.at for ask in day] == sorted(ask.at for ask in day)
    assert len(day) == 60


def test_both_orders_paint_the_same_jobs() -> None:
    asks = draw(Shape(jobs=60, users=9, seconds=300), 5)
    ours, plain = queue.fairly(asks), queue.in_order(asks)
    for outcome in (ours, plain):
        assert sorted(ask.at for ask, _, _ in outcome.spans) == [ask.at for ask in asks]
        assert all(start >= ask.at for ask, start, _ in outcome.spans)
        ends = sorted((start, end) for _, start, end in outcome.spans)
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert sum(map(len, ours.waits.values())) == 60


def test_jains_index() -> None:
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1)
    assert jain([9.0, 0.0, 0.0]) == pytest.approx(1 / 3)


def test_a_fair_division_gives_nobody_more_than_they_want() -> None:
    assert fair_shares([10, 2, 10], 12) == [5, 2, 5]
    assert fair_shares([1, 2], 12) == [1, 2]


def test_who_has_the_card_alone_divides_it_badly() -> None:
    asks = [Ask(0.0, user, request(), 1.0) for user in (1, 2, 1, 2)]
    in_turn, one_only = Outcome(), Outcome()
    for outcome, order in ((in_turn, (0, 1, 2, 3)), (one_only, (0, 2, 1, 3))):
        for place, n in enumerate(order):
            outcome.spans.append((asks[n], place * 300.0, place * 300.0 + 300.0))
    assert division(in_turn) == pytest.approx(1)
    assert division(one_only) < 0.97


def test_a_missed_goal_is_said() -> None:
    outcome = Outcome()
    outcome.said, outcome.foreseen = [0.5], [0.1]
    for user in (1, 2):
        outcome.note(Ask(0.0, user, request(), 1.0), InPlace(), 1.0, 2.0)
    found = {row.what: row.met for row in rows(outcome, outcome) if row.goal}
    assert sorted(found.values(), key=str) == [False, True]
    assert "**(missed)**" in queue.table(rows(outcome, outcome))


def test_a_history_is_replayed_job_by_job() -> None:
    history = [Painted(request(), n * 10_000, n * 10_000 + 5_000) for n in range(9)]
    errors = replayed(history)
    # At least three are needed to learn from.
    assert len(errors) == 6
    assert max(errors) < 0.01
