"""How long to wait before each further attempt."""

from itertools import islice

import pytest

from bot.backoff import Backoff


def test_the_last_value_holds_for_all_that_follow() -> None:
    backoff = Backoff(0, 2, 10)
    assert [backoff.after(waits) for waits in (0, 1, 2, 3, 1000)] == [0, 2, 10, 10, 10]
    assert list(islice(backoff, 5)) == [0, 2, 10, 10, 10]


def test_each_iteration_starts_over() -> None:
    backoff = Backoff(1, 5)
    assert [next(iter(backoff)), next(iter(backoff))] == [1, 1]


def test_without_values_there_is_none() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Backoff()
