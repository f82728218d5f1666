"""Who is next: examples of the order, of its bounds and of its exceptions."""

from dataclasses import replace

import pytest

from bot.queue.policy import (
    ADAPTERS_AHEAD,
    AT_ONCE,
    LOOKAHEAD,
    OWED_FOR,
    PATIENCE,
    InPlace,
    Line,
    Next,
    Waiting,
)
from tests.queue.waiting import HERE, NOTHING, asked, drained


class TestTheOrder:
    def test_nobody_waits(self) -> None:
        assert Line().choose([HERE], 0) is None

    def test_users_take_turns(self) -> None:
        line = Line(
            [asked(f"a{n}", 1, n) for n in range(3)] + [asked(f"b{n}", 2, 10 + n) for n in range(2)]
        )
        assert drained(line) == ["a0", "b0", "a1", "b1", "a2"]

    def test_whoever_was_served_longest_ago_comes_first(self) -> None:
        waiting = [asked("a", 1, 0), asked("b", 2, 1), asked("c", 3, 2)]
        assert drained(Line(waiting, {"u001": 30, "u002": 10})) == ["c", "b", "a"]

    def test_a_turn_that_is_known_already_is_not_forgotten(self) -> None:
        line = Line([asked("a", 1, 0), asked("b", 2, 1)])
        line.serve("u001", 20)
        line.serve("u002", 10)
        line.serve("u001", 5)
        assert drained(line) == ["b", "a"]

    def test_what_was_interrupted_goes_on_first(self) -> None:
        waiting = [asked("a", 1, 0, "warm"), asked("b", 2, 1, interrupted=True)]
        assert drained(Line(waiting, {"u002": 50}), HERE) == ["b", "a"]

    def test_who_fits_what_is_loaded_goes_ahead(self) -> None:
        waiting = [
            asked("cold", 1, 0),
            asked("model", 2, 1, "warm"),
            asked("both", 3, 2, "warm", adapters=("a:1",)),
        ]
        assert drained(Line(waiting), HERE) == ["both", "model", "cold"]

    def test_nobody_overtakes_themselves(self) -> None:
        assert drained(Line([asked("a", 1, 0), asked("b", 1, 1, "warm")]), HERE) == ["a", "b"]

    def test_a_later_arrival_is_sorted_in(self) -> None:
        line = Line([asked("b", 1, 2)])
        line.add(asked("a", 1, 1))
        assert drained(line) == ["a", "b"]

    def test_who_leaves_is_not_served(self) -> None:
        line = Line([asked("a", 1, 0), asked("b", 1, 1), asked("c", 2, 2)])
        removed = line.remove("a")
        assert removed is not None
        assert removed.id == "a"
        assert line.remove("a") is None
        assert drained(line) == ["b", "c"]

    def test_a_copy_is_on_its_own(self) -> None:
        line = Line([asked("a", 1, 0), asked("b", 2, 1)])
        drained(line.copy())
        assert drained(line) == ["a", "b"]

    def test_priorities_go_ahead(self) -> None:
        waiting = [asked("a", 1, 0), asked("b", 2, 1, priority=1), asked("c", 3, 2, priority=2)]
        assert drained(Line(waiting)) == ["c", "b", "a"]

    def test_what_is_loaded_does_not_outweigh_a_priority(self) -> None:
        waiting = [asked("a", 1, 0, "warm"), asked("b", 2, 1, priority=1)]
        assert drained(Line(waiting), HERE) == ["b", "a"]


class TestTheBounds:
    def test_at_most_so_many_go_ahead(self) -> None:
        waiting = [asked("due", 0, 0)]
        waiting += [asked(str(n), n, n, "warm") for n in range(1, LOOKAHEAD + 10)]
        assert drained(Line(waiting), HERE).index("due") == LOOKAHEAD

    def test_nor_for_longer_than_so_long(self) -> None:
        line = Line([asked("due", 0, 0), *(asked(str(n), n, n, "warm") for n in range(1, 9))])
        times = [0.0, PATIENCE - 1.0, float(PATIENCE)]
        chosen = []
        for now in times:
            choice = line.choose([HERE], now)
            assert choice is not None
            line.take(choice, now)
            chosen.append(choice.job.id)
        assert chosen == ["1", "2", "due"]

    def test_it_is_not_looked_for_further_back(self) -> None:
        waiting = [asked(f"cold{n}", n, n, f"m{n}") for n in range(LOOKAHEAD)]
        line = Line([*waiting, asked("warm", 99, 99, "warm")])
        assert line.choose([HERE], 0) == Next(waiting[0])

    def test_for_its_loras_alone_few_go_ahead(self) -> None:
        waiting = [asked("due", 0, 0, "warm")]
        waiting += [asked(str(n), n, n, "warm", adapters=("a:1",)) for n in range(1, 20)]
        assert drained(Line(waiting), HERE).index("due") == ADAPTERS_AHEAD

    def test_whose_turn_it_was_is_said(self) -> None:
        line = Line(
            [asked("a", 1, 0), asked("b", 2, 1, priority=1), asked("c", 3, 2, "warm", priority=1)]
        )
        choice = line.choose([HERE], 7)
        assert choice is not None
        assert choice.job.id == "c"
        assert sorted(choice.passed) == ["a", "b"]
        line.take(choice, 7)
        assert {one.id: (one.passed, one.due_at) for one in line} == {"a": (1, 7), "b": (1, 7)}

    def test_among_those_of_priority_there_is_a_bound_too(self) -> None:
        waiting = [
            asked("a", 1, 0),
            asked("due", 2, 1, priority=1, passed=LOOKAHEAD),
            asked("warm", 3, 2, "warm", priority=1),
        ]
        assert drained(Line(waiting), HERE) == ["due", "warm", "a"]

    def test_what_was_passed_before_a_restart_counts(self) -> None:
        waiting = [asked("due", 0, 0, passed=LOOKAHEAD), asked("warm", 1, 1, "warm")]
        assert drained(Line(waiting), HERE) == ["due", "warm"]


def test_one_that_others_went_ahead_of_can_leave() -> None:
    line = Line([asked("cold", 1, 0), asked("warm", 2, 1, "warm")])
    choice = line.choose([InPlace("warm")], 0)
    assert choice is not None
    line.take(choice, 0)
    left = line.remove("cold")
    assert left is not None
    assert left.passed == 1
    assert len(line) == 0


class TestSuspects:
    """Jobs during which the process died."""

    def test_they_come_after_everyone_else(self) -> None:
        waiting = [asked("s", 1, 0, "warm", crashes=1), asked("a", 1, 1), asked("b", 2, 2)]
        assert drained(Line(waiting, {"u002": 50}), HERE) == ["a", "b", "s"]

    def test_those_that_did_it_more_often_come_last(self) -> None:
        waiting = [
            asked("twice", 1, 0, crashes=2),
            asked("x", 2, 1, crashes=1),
            asked("y", 1, 2, crashes=1),
        ]
        assert drained(Line(waiting)) == ["x", "y", "twice"]

    def test_one_waits_until_nothing_else_runs(self) -> None:
        line = Line([asked("s", crashes=1)])
        assert line.choose([HERE], 0, busy=True) is None
        choice = line.choose([HERE, NOTHING], 0)
        assert choice is not None
        assert choice.job.id == "s"

    def test_only_so_many_others_go_ahead_of_one(self) -> None:
        line = Line(
            [asked("s", crashes=1), *(asked(f"a{n}", 2, 1 + n) for n in range(LOOKAHEAD + 5))]
        )
        order = drained(line, now=0)
        assert order.index("s") == LOOKAHEAD
        # Until it has run alone, nothing else begins.
        line = Line([asked("s", crashes=1, passed=LOOKAHEAD), asked("a", 2, 1)])
        assert line.choose([HERE], 0, busy=True) is None

    def test_others_go_ahead_of_one_for_so_long(self) -> None:
        line = Line([asked("s", crashes=1, due_at=0.0, passed=1), asked("a", 2, 1)])
        for now, chosen in ((PATIENCE - 1, "a"), (PATIENCE, "s")):
            choice = line.choose([HERE], now)
            assert choice is not None
            assert choice.job.id == chosen

    def test_one_can_leave(self) -> None:
        line = Line([asked("s", crashes=1), asked("t", arrived=1, crashes=1)])
        copy = line.copy()
        assert [waiting.id for waiting in line.rounds()] == ["s", "t"]
        assert line.remove("s") is not None
        assert drained(line) == ["t"]
        assert len(copy) == 2


def test_a_job_of_several_turns_lets_as_many_rounds_of_others_pass() -> None:
    line = Line()
    line.add(Waiting("a-sheet", "a", 1, "m", turns=3))
    line.add(Waiting("a-next", "a", 2, "m"))
    for number in range(4):
        for person in "bc":
            line.add(Waiting(f"{person}{number}", person, 10 + number, "m"))
    order = [choice.job.id for choice in _drained(line)]
    assert order == ["a-sheet", "b0", "c0", "b1", "c1", "b2", "c2", "a-next", "b3", "c3"]


def test_turns_taken_in_advance_are_forgotten_where_no_one_else_waits_and_after_an_hour() -> None:
    for others, later in (((), 1.0), (("b0", "b1"), OWED_FOR)):
        line = Line()
        line.add(Waiting("a-sheet", "a", 1, "m", turns=4))
        _take(line, 0.0)
        line.add(Waiting("a-next", "a", 2, "m"))
        line.add(Waiting("a-last", "a", 3, "m"))
        for number, job in enumerate(others):
            line.add(Waiting(job, "b", 4 + number, "m"))
        line.serve("b", -1.0)
        first, second, *_ = _drained(line, later)
        if others:
            assert (first.job.id, second.job.id) == ("b0", "a-next")
        else:
            assert (first.job.id, second.job.id) == ("a-next", "a-last")


def _take(line: Line, now: float) -> Next:
    choice = line.choose([InPlace("m")], now)
    assert choice is not None
    line.take(choice, now)
    return choice


def _drained(line: Line, now: float = 0.0) -> list[Next]:
    taken = []
    while len(line):
        now += 1
        taken.append(_take(line, now))
    return taken


def test_a_job_without_a_model_goes_to_any_lane_and_is_no_switch() -> None:
    line = Line()
    line.add(asked("other", user=1, arrived=0, model="cold"))
    line.add(asked("enlarge", user=2, arrived=1, model=""))
    # One that has nothing to load is taken first, as one whose model is there.
    assert drained(line, InPlace("warm")) == ["enlarge", "other"]


class TestAble:
    """Jobs that no free lane is able to run."""

    def test_they_are_passed_over_without_being_counted(self) -> None:
        line = Line([asked("large", 1, 0, "large"), asked("small", 2, 1, "small")])
        choice = line.choose([HERE], 0.0, able=lambda job, _: job.model == "small")
        assert choice == Next(asked("small", 2, 1, "small"))
        line.take(choice, 0.0)
        assert [waiting.passed for waiting in line] == [0]
        assert line.choose([HERE], 1.0, able=lambda job, _: False) is None
        assert line.choose([HERE], 1.0) == Next(asked("large", 1, 0, "large"))

    def test_any_number_of_them_hide_no_one_else(self) -> None:
        line = Line([asked(f"large{n}", n, n, "large") for n in range(3 * LOOKAHEAD)])
        line.add(asked("small", 999, 999, "small"))
        choice = line.choose([HERE], 0.0, able=lambda job, _: job.model == "small")
        assert choice is not None
        assert choice.job.id == "small"

    @pytest.mark.long
    def test_very_many_of_them_are_not_gone_through_at_once(self) -> None:
        line = Line([asked(f"large{n}", n, n, "large") for n in range(60 * LOOKAHEAD)])
        line.add(asked("small", 9_999, 9_999, "small"))
        decisions = 0
        while (
            choice := line.choose([HERE], 0.0, able=lambda job, _: job.model == "small")
        ) is None:
            assert line.put_off
            decisions += 1
        assert choice.job.id == "small"
        assert not line.put_off
        assert 1 < decisions <= 60 * LOOKAHEAD // AT_ONCE
        # They were met once, and are not again.
        line.add(asked("more", 9_998, 9_998, "small"))
        assert line.choose([HERE], 0.0, able=lambda job, _: job.model == "small") is not None

    def test_their_persons_other_jobs_go_on(self) -> None:
        line = Line(
            [asked("a", 1, 0, "large"), asked("b", 1, 1, "small"), asked("c", 1, 2, "small")]
        )
        for expected in ("b", "c"):
            choice = line.choose([HERE], 0.0, able=lambda job, _: job.model == "small")
            assert choice is not None
            line.take(choice, 0.0)
            assert choice.job.id == expected
        assert drained(line) == ["a"]

    def test_each_goes_to_a_lane_that_is_able(self) -> None:
        line = Line([asked("a", 1, 0, "warm", adapters=("a:1",))])
        choice = line.choose([HERE, NOTHING], 0.0, able=lambda _, lane: lane == 1)
        assert choice is not None
        assert choice.lane == 1

    def test_one_that_was_hidden_behind_one_of_them_is_found(self) -> None:
        """Both of one person: the older without priority, the later of a kind that was aside."""
        line = Line([asked("r", 9, 0, "y", priority=1), asked("c", 3, 3, "z")], {"u001": 5.0})
        line.add(asked("a", 1, 1, "x"))
        assert line.choose([HERE], 0.0, able=lambda job, _: job.model == "z") is not None
        line.remove("r")
        line.add(asked("s", 9, 9, "y", crashes=1))
        line.add(asked("b", 1, 4, "y", priority=1))
        choice = line.choose([HERE], 0.0, able=lambda job, _: job.model != "x")
        assert choice is not None
        assert choice.job.id == "b"

    def test_a_suspect_that_can_run_nowhere_holds_up_nobody(self) -> None:
        waiting = [
            asked("s", 1, 0, "large", crashes=1, passed=LOOKAHEAD),
            asked("a", 2, 1, "small"),
        ]
        choice = Line(waiting).choose([HERE], 0.0, able=lambda job, _: job.model == "small")
        assert choice == Next(waiting[1])


def test_another_environment_costs_as_much_as_loading_a_model() -> None:
    same, other = (InPlace("m", environments=frozenset({one})) for one in ("same", "other"))
    exact = asked("exact", 1, 0, "m", prefers="same")
    choice = Line([exact]).choose([other, same], 0.0)
    assert choice == Next(exact, lane=1)
    # Others go ahead as they do of one whose model is not loaded, and as seldom.
    waiting = [exact, asked("any", 2, 1, "m")]
    assert drained(Line(waiting), other) == ["any", "exact"]
    assert drained(Line([replace(exact, passed=LOOKAHEAD), waiting[1]]), other) == ["exact", "any"]


def test_where_there_are_many_lanes_it_is_looked_for_further_back() -> None:
    waiting = [asked(f"cold{n}", n, n, f"m{n}") for n in range(2 * LOOKAHEAD - 1)]
    waiting.append(asked("warm", 999, 999, "warm"))
    for among, found in ((1, "cold0"), (2, "warm")):
        choice = Line(waiting).choose([HERE], 0.0, among=among)
        assert choice is not None
        assert choice.job.id == found
    due = replace(waiting[0], passed=LOOKAHEAD)
    for among, found in ((1, "cold0"), (2, "warm")):
        choice = Line([due, *waiting[1:]]).choose([HERE], 0.0, among=among)
        assert choice is not None
        assert choice.job.id == found
