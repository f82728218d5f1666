"""A model of another family finds the device without the networks of the one before."""

import weakref
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from bot.engine import Engine
from bot.engine.weights import WeightCache
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import paint, request, resident
from tests.parameters import mostly_long


@pytest.mark.parametrize(
    ("before", "after"),
    mostly_long([*pairwise(FAMILIES), *pairwise([*FAMILIES][::-1])], usual=[("sd15", "flux2")]),
)
def test_nothing_of_a_family_is_held_while_another_is_loaded(
    opened: Callable[..., Engine],
    offered: Catalog,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
) -> None:
    engine = opened(memory="full")
    paint(engine, request(model=before, guidance=1.0, steps=1), offered)
    held = [weakref.ref(part) for part in resident(engine).parts.values()]
    alive: list[int] = []
    take = WeightCache.take

    def watched(*given: Any) -> Any:
        alive.append(sum(each() is not None for each in held))
        return take(*given)

    monkeypatch.setattr(WeightCache, "take", watched)
    paint(engine, request(model=after, guidance=1.0, steps=1), offered)
    assert alive == [0] * len(FAMILIES[after].parts)
