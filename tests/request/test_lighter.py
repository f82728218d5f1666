"""Lighter requests: one change at a time, until nothing is left to reduce."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request import AdapterUse, Box, Hires, InitImage, lighter
from catalog.families.flux2 import FLUX2
from catalog.families.sdxl import SDXL
from tests.store.factories import request

PIXELS = math.prod(SDXL.size)
SIDES = st.integers(8, 256).map(lambda eighths: eighths * 8)


def test_the_heaviest_goes_first() -> None:
    heavy = request(
        width=1536,
        height=1024,
        adapters=(AdapterUse("a", 1.0), AdapterUse("b", 1.0)),
        hires=Hires(scale=1.5, strength=0.5, steps=30),
    )
    steps = []
    less = lighter(heavy, SDXL)
    while less is not None:
        steps.append((less.hires is not None, less.width, less.height, len(less.adapters)))
        less = lighter(less, SDXL)
    assert steps == [
        (False, 1536, 1024, 2),
        (False, 1280, 832, 2) if PIXELS >= (1280 * 832) else (False, 1216, 832, 2),
        (False, steps[1][1], steps[1][2], 1),
        (False, steps[1][1], steps[1][2], 0),
    ]


def test_images_to_edit_go_before_loras_and_one_of_them_stays() -> None:
    heavy = request(
        width=1024, height=1024, pictures=("a", "b", "c"), adapters=(AdapterUse("ink", 1.0),)
    )
    steps = []
    less = lighter(heavy, FLUX2)
    while less is not None:
        steps.append((less.pictures, len(less.adapters)))
        less = lighter(less, FLUX2)
    assert steps == [(("a", "b"), 1), (("a",), 1), (("a",), 0)]


@given(SIDES, SIDES)
def test_a_large_picture_becomes_one_that_sdxl_is_made_for(width: int, height: int) -> None:
    less = lighter(request(width=width, height=height, adapters=()), SDXL)
    if width * height <= PIXELS:
        assert less is None
        return
    assert less is not None
    assert less.width * less.height <= PIXELS
    assert (less.width % 64, less.height % 64) == (0, 0)
    assert less.width / less.height == pytest.approx(width / height, rel=0.35)


@given(st.data())
def test_an_image_that_is_extended_lies_where_it_lay(data: st.DataObject) -> None:
    width, height = data.draw(SIDES), data.draw(SIDES)
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(
        left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top))
    )
    init = InitImage("a" * 64, 1.0, "b" * 64, box)
    less = lighter(request(width=width, height=height, adapters=(), init_image=init), SDXL)
    if less is None:
        return
    assert less.init_image is not None
    placed = less.init_image.box
    assert placed is not None
    assert placed.within(less.width, less.height)
    assert min(placed.width, placed.height) > 0
    assert less.init_image == replace(init, box=placed)
    ends = (placed.left + placed.width, placed.top + placed.height)
    assert ends[0] / less.width == pytest.approx((left + box.width) / width, abs=1 / less.width)
    assert ends[1] / less.height == pytest.approx((top + box.height) / height, abs=1 / less.height)


def test_everything_else_stays() -> None:
    before = request(width=2048, height=1024)
    less = lighter(before, SDXL)
    assert less is not None
    assert (less.seed, less.prompt, less.steps) == (before.seed, before.prompt, before.steps)
