"""Every family varies an image: nothing of it is asked of the families, so none may go its own
way."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.engine import Engine
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import digests, paint, request
from tests.parameters import mostly_long


@pytest.mark.parametrize("key", mostly_long(FAMILIES, usual=["flux2"]))
def test_an_image_is_varied_as_much_as_is_wanted(
    opened: Callable[..., Engine], offered: Catalog, key: str
) -> None:
    engine = opened()
    own: dict[str, Any] = {"model": key, "guidance": 1.0, "scheduler": "Euler"}

    def image(strength: float) -> list[str]:
        return digests(paint(engine, request(**own).variations(12, strength, 1), offered))

    plain = digests(paint(engine, request(**own), offered))
    other = digests(paint(engine, request(seed=12, **own), offered))
    assert image(0.0) == plain
    assert image(1.0) == other
    assert image(0.3) not in (plain, other)
