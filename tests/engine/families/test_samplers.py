"""Whatever sampler a family offers, more steps lead to the picture that all of them lead to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import paint, request

pytestmark = pytest.mark.long

FLOWS = ("flux2", "zimage", "anima", "chroma", "krea2")
OFFERED = [
    (key, name)
    for key in FLOWS
    for name in FAMILIES[key].schedulers
    if "SDE" not in name  # which adds other noise at every step
]


@pytest.fixture(scope="module")
def solved() -> dict[str, Any]:
    """Key of the family → its picture with many small steps."""
    return {}


USUAL = {
    "flux2": "DPM++ 2M",
    "zimage": "Euler",
    "anima": "UniPC",
    "chroma": "UniPC",
    "krea2": "DPM++ 2M",
}


@pytest.mark.parametrize(
    ("key", "scheduler"),
    [
        pytest.param(key, name, marks=() if USUAL[key] == name else pytest.mark.long)
        for key, name in OFFERED
    ],
)
def test_a_sampler_nears_the_same_picture(
    opened: Callable[..., Engine],
    offered: Catalog,
    solved: dict[str, Any],
    key: str,
    scheduler: str,
) -> None:
    engine = opened(memory="full")

    def painted(**fields: Any) -> Any:
        wanted = request(model=key, **{"guidance": 1.0, **fields})
        return np.asarray(paint(engine, wanted, offered).images[0].image).astype(int)

    if key not in solved:
        solved[key] = painted(scheduler="Euler", steps=100)
    deviation = solved[key].std()
    near = np.abs(painted(scheduler=scheduler, steps=24) - solved[key]).mean()
    rough = np.abs(painted(scheduler=scheduler, steps=4) - solved[key]).mean()
    other = np.abs(painted(scheduler=scheduler, steps=24, seed=5) - solved[key]).mean()
    assert near < 0.2 * deviation < 0.5 * deviation < other
    assert near < rough
