"""No operation of the engine gives other bits on a GPU from one run to the next.

Which ones could is documented, so that no GPU is needed to see that none is called.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bot.engine import Engine
from bot.engine.upscaling.library import library
from bot.request import GenerationRequest, Hires, InitImage
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import paint, picture, request
from tests.engine.unordered import Watch
from tests.engine.upscaling.networks import EVERY
from tests.parameters import mostly_long

NOTHING: set[str] = set()


def everything(key: str) -> list[GenerationRequest]:
    """What a model of the family can do, in as few images as that takes."""
    family = FAMILIES[key]
    options: dict[str, Any] = {"model": key, "negative": "a dog", "guidance": 4.0}
    wanted = [request((key, 0.7), **options, hires=Hires(1.5, 0.5, 2))]
    if family.takes_image:
        painted = InitImage(picture(), 0.6, picture(seed=1))
        wanted.append(request(**options, init_image=painted))
    if family.pictures_max:
        wanted.append(request(**options, pictures=(picture((96, 64), 3),)))
    return wanted


@pytest.mark.parametrize("key", mostly_long(FAMILIES, usual=("sdxl", "zimage")))
def test_no_family_depends_on_the_order_of_threads(
    opened: Callable[..., Engine], offered: Catalog, key: str
) -> None:
    engine = opened()
    with Watch() as watch:
        for wanted in everything(key):
            paint(engine, wanted, offered)
    assert watch.found == NOTHING
    assert watch.calls > 1_000


@pytest.mark.long
def test_nor_do_controls_depth_and_references(
    fresh: Engine, followed: tuple[GenerationRequest, Catalog]
) -> None:
    wanted, offered = followed
    with Watch() as watch:
        paint(fresh, wanted, offered)
    assert watch.found == NOTHING
    assert watch.calls > 1_000


@pytest.mark.long
def test_nor_do_poses(fresh: Engine, posed: tuple[GenerationRequest, Catalog]) -> None:
    wanted, offered = posed
    with Watch() as watch:
        paint(fresh, wanted, offered)
    assert watch.found == NOTHING
    assert watch.calls > 1_000


@pytest.mark.parametrize("name", EVERY)
def test_nor_does_an_upscaler(name: str) -> None:
    library()
    _, build = EVERY[name]
    with torch.no_grad(), Watch() as watch:
        build().eval()(torch.rand(1, 3, 32, 32))
    assert watch.found == NOTHING
    assert watch.calls


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.rand(3).cumsum(0),
        lambda: torch.full((3,), 2**23).cumsum(0, dtype=torch.float32),
        lambda: torch.zeros(3).index_add_(0, torch.tensor([0, 0]), torch.ones(2)),
        lambda: torch.zeros(3).scatter_(0, torch.tensor([0, 0]), torch.ones(2)),
        lambda: torch.zeros(3).scatter_add(0, torch.tensor([0, 0]), torch.ones(2)),
        lambda: torch.bincount(torch.tensor([0, 0]), weights=torch.ones(2)),
        lambda: torch.zeros(3).index_put_((torch.tensor([0, 0]),), torch.ones(2)),
        lambda: torch.zeros(3).index_put((torch.tensor([0]),), torch.ones(1), accumulate=True),
    ],
)
def test_it_would_be_seen(call: Callable[[], torch.Tensor]) -> None:
    with Watch() as watch:
        call()
    assert watch.found


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.ones(3).cumsum(0),
        lambda: torch.tensor([2, 3]).cumsum(0),
        lambda: torch.zeros(3).scatter_(0, torch.tensor([0, 0]), 1.0),
        lambda: torch.zeros(3).index_put_((torch.tensor([0, 1]),), torch.ones(2)),
        lambda: torch.bincount(torch.tensor([0, 0])),
    ],
)
def test_what_has_one_result_is_let_through(call: Callable[[], torch.Tensor]) -> None:
    with Watch() as watch:
        call()
    assert watch.found == NOTHING
