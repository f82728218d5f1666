"""Parameters of tests of which most take too long for every run."""

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_long(values: Iterable[Any], *, usual: int) -> list[Any]:
    """For `pytest.mark.parametrize`: `values`, of which all but the first `usual` are `long`.

    Those that are tuples are the parameters of one test each.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if number < usual else pytest.mark.long,
        )
        for number, value in enumerate(values)
    ]
