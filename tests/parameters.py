"""How much of a test is for every run, where most of it takes too long."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest
from hypothesis import settings


def mostly_long(values: Iterable[Any], *, usual: int | Collection[Any]) -> list[Any]:
    """For `pytest.mark.parametrize`: `values`, of which all but `usual` are `long`.

    usual: those of every run, or how many of the first ones. Values that are tuples are the
    parameters of one test each.
    """
    every = [*values]
    if not isinstance(usual, int):
        assert all(value in every for value in usual), f"{usual} are not all among {every}"
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if _is_usual(number, value, usual) else pytest.mark.long,
        )
        for number, value in enumerate(every)
    ]


def _is_usual(number: int, value: Any, usual: int | Collection[Any]) -> bool:
    return number < usual if isinstance(usual, int) else value in usual


def examples(most: int) -> int:
    """For Hypothesis' `max_examples`: `most` with --long, a part of them in every run."""
    return most * settings().max_examples // ALL


ALL = 100
"""Examples of tests that do not say how many, with --long: Hypothesis' own default."""
