"""Lanes that are away are waited for, but not for ever."""

from collections.abc import Callable

import pytest

from bot.queue import Lane
from bot.queue.absences import AWAITED_FOR, TOLD_AFTER
from bot.queue.fleet import Fleet, Room
from bot.queue.policy import Waiting
from tests.store.factories import any_job

TOO_LARGE = any_job(memory_above=8)
WAITING = Waiting("a", "p", 1, "demo", memory_above=8)


class Bench:
    """A small lane, which is there, and a large one."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.small, self.large = Lane("small", memory=8), Lane("large", memory=24)
        self.fleet = Fleet([self.small, self.large], lambda: None, lambda: self.now)

    @property
    def may_run_on_the_small_one(self) -> bool:
        able = self.fleet.able_on([self.small])
        assert able is not None
        return able(WAITING, 0)

    def room(self) -> Room:
        return self.fleet.waits_for_memory()(TOO_LARGE)


def drain(bench: Bench, *, away: bool) -> None:
    (bench.fleet.drain if away else bench.fleet.resume)(bench.large)


def lose(bench: Bench, *, away: bool) -> None:
    bench.fleet.lose(bench.large, lost=away)


@pytest.mark.parametrize("leave", [drain, lose])
class TestAbsences:
    def test_one_that_is_away_is_awaited_for_a_time(self, leave: Callable[..., None]) -> None:
        bench = Bench()
        assert bench.room() is Room.SOMEWHERE
        leave(bench, away=True)
        for seconds, room in ((TOLD_AFTER - 1, Room.SOMEWHERE), (AWAITED_FOR - 1, Room.AWAY)):
            bench.now = 1_000.0 + seconds
            assert bench.room() is room
            assert not bench.may_run_on_the_small_one
            assert bench.fleet.too_small(bench.small, any_job(), model=False)
        bench.now += 1
        assert bench.room() is Room.EVERYWHERE
        assert bench.may_run_on_the_small_one
        assert not bench.fleet.too_small(bench.small, any_job(), model=False)

    def test_one_that_was_back_is_awaited_anew(self, leave: Callable[..., None]) -> None:
        bench = Bench()
        for _ in range(2):
            leave(bench, away=True)
            leave(bench, away=True)
            bench.now += AWAITED_FOR - 1
            assert not bench.may_run_on_the_small_one
            leave(bench, away=False)
            assert bench.room() is Room.SOMEWHERE

    def test_another_of_its_size_is_enough(self, leave: Callable[..., None]) -> None:
        bench = Bench()
        bench.fleet.add_lane(Lane("other", memory=24))
        leave(bench, away=True)
        bench.now += AWAITED_FOR
        assert bench.room() is Room.SOMEWHERE
        assert not bench.may_run_on_the_small_one


def test_one_that_was_lost_while_it_was_drained_is_away_until_it_is_neither() -> None:
    bench = Bench()
    drain(bench, away=True)
    lose(bench, away=True)
    bench.now += AWAITED_FOR
    lose(bench, away=False)
    assert bench.may_run_on_the_small_one
    drain(bench, away=False)
    assert not bench.may_run_on_the_small_one
