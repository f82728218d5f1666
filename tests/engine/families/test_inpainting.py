"""Every family keeps a part of an image: nothing of it is asked of the families, so none may go its
own way."""

from collections.abc import Callable

import pytest

from bot.engine import Engine
from bot.request import Area, Box, InitImage
from catalog import Catalog
from catalog.families import FAMILIES
from tests.engine.factories import digests, opened, paint, picture, request
from tests.engine.test_inpainting import MIDDLE, SEAM, SIZE, far_from, mask, pixels

USUAL = ("sdxl", "flux2", "anima")
"""Of whose latents and VAEs the others have the like."""
EACH = [
    pytest.param(key, name, marks=() if number == 0 and key in USUAL else pytest.mark.long)
    for key, family in FAMILIES.items()
    if family.takes_image
    for number, name in enumerate(sorted(family.schedulers, key=lambda name: name != "Euler"))
]


@pytest.fixture
def engine(opened: Callable[..., Engine]) -> Engine:
    return opened()


@pytest.mark.parametrize(("key", "scheduler"), EACH)
def test_what_is_kept_is_kept_exactly(
    engine: Engine, offered: Catalog, key: str, scheduler: str
) -> None:
    sha256 = picture(SIZE)
    before, far = pixels(opened(sha256)), far_from(MIDDLE)
    for strength in (0.5, 1.0):
        asked = request(
            model=key,
            guidance=1.0,
            scheduler=scheduler,
            steps=4,
            init_image=InitImage(sha256, strength, mask()),
        )
        painted = paint(engine, asked, offered)
        after = pixels(painted.images[0].image)
        assert (after[far] == before[far]).all()
        assert (after[20:44, 20:44] != before[20:44, 20:44]).any(-1).mean() > 0.8
        assert digests(paint(engine, asked, offered)) == digests(painted)


@pytest.mark.long
@pytest.mark.parametrize("key", [key for key, family in FAMILIES.items() if family.takes_image])
def test_an_image_is_extended(engine: Engine, offered: Catalog, key: str) -> None:
    sha256 = picture(SIZE)
    init = InitImage(sha256, 1.0, None, Box(0, 0, *SIZE))
    asked = request(model=key, guidance=1.0, scheduler="Euler", steps=2, width=96, init_image=init)
    painted = paint(engine, asked, offered).images[0].image
    assert painted.size == (96, 64)
    inner = pixels(painted)[:, : 64 - SEAM]
    assert (inner == pixels(opened(sha256))[:, : 64 - SEAM]).all()


@pytest.mark.parametrize("key", [key for key, family in FAMILIES.items() if family.takes_image])
def test_only_a_part_of_it_is_painted(engine: Engine, offered: Catalog, key: str) -> None:
    whole = (160, 128)
    sha256, masked = picture(whole), mask((70, 50, 90, 66), whole)
    init = InitImage(sha256, 0.6, masked, area=Area(16, *whole))
    asked = request(model=key, guidance=1.0, scheduler="Euler", init_image=init)
    after = pixels(paint(engine, asked, offered).images[0].image)
    before = pixels(opened(sha256))
    assert (after[:, :60] == before[:, :60]).all()
    assert (after[50:66, 70:90] != before[50:66, 70:90]).any(-1).mean() > 0.8
