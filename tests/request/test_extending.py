"""Parts of images: the grammar of what is added, where the image then lies, and masks."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest
from bot.request import (
    Box,
    Draft,
    GenerationRequest,
    InitImage,
    Named,
    Options,
    Picture,
    compose,
    compose_with_notes,
    redraft,
)
from bot.request.extending import SIDES, Extent, parse_extent, shares_of
from catalog import Catalog, ModelEntry

SHA, MASK = "0123456789abcdef" * 4, "fedcba9876543210" * 4
MODEL = ModelEntry(key="base", name="Base", path="org/base", max_side=2048, max_pixels=1536 * 1536)
CATALOG = Catalog({"base": MODEL}, {}, "base")
SQUARE = Picture(SHA, 1024, 1024)


def composed(**fields: Any) -> GenerationRequest:
    return compose(Draft(**{"prompt": "a fox", **fields}), CATALOG, nsfw=False)


def refused(**fields: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(InvalidRequest) as error:
        composed(**fields)
    return error.value.code, error.value.params


@pytest.mark.parametrize(
    ("text", "extent"),
    [
        ("zoom 1.5", Extent(0.25, 0.25, 0.25, 0.25, zoomed=True)),
        ("Zoom 2×", Extent(0.5, 0.5, 0.5, 0.5, zoomed=True)),
        ("1,5x", Extent(0.25, 0.25, 0.25, 0.25, zoomed=True)),
        ("left", Extent(left=0.5)),
        ("LEFT 25%", Extent(left=0.25)),
        (" right 10 , left 20.5 % ", Extent(left=0.205, right=0.1)),
        ("top, bottom", Extent(up=0.5, down=0.5)),
        ("up 100, down 5", Extent(up=1.0, down=0.05)),
        ("3:2", Extent(left=0.25, right=0.25)),
        ("2/3", Extent(up=0.25, down=0.25)),
        ("768x512+128+0", Extent(box=Box(128, 0, 768, 512))),
    ],
)
def test_what_can_be_typed(text: str, extent: Extent) -> None:
    assert parse_extent(text, 512, 512) == extent


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((text, "extend.form") for text in ("", "around", "left left", "left, left", "16:0")),
        *((text, "extend.form") for text in ("left -5", "left,", "zoom", "768x512", "top, up")),
        *((text, "extend.zoom") for text in ("zoom 1", "1.05", "3.1x", "999")),
        *((text, "extend.share") for text in ("left 4", "left 101%", "up 0")),
        ("1:1", "extend.same"),
        ("50:49", "extend.same"),
        ("4:1", "extend.far"),
        ("1:9", "extend.far"),
    ],
)
def test_what_cannot(text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_extent(text, 512, 512)
    assert (error.value.field, error.value.code) == ("extend", code)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        assert parse_extent(text, 640, 480) != Extent()


@pytest.mark.parametrize(
    ("extend", "size", "box"),
    [
        ("right", (1536, 1024), Box(0, 0, 1024, 1024)),
        ("left 25%", (1280, 1024), Box(256, 0, 1024, 1024)),
        ("left, right", (2048, 1024), Box(512, 0, 1024, 1024)),
        ("up", (1024, 1536), Box(0, 512, 1024, 1024)),
        ("16:9", (1816, 1024), Box(396, 0, 1024, 1024)),
        ("zoom 2", (1024, 1024), Box(256, 256, 512, 512)),
        # As large as the model can: the image becomes smaller.
        ("left 100, right 100", (2048, 680), Box(684, 0, 680, 680)),
        ("up 100, down 100", (680, 2048), Box(0, 684, 680, 680)),
        ("left, up", (1536, 1536), Box(512, 512, 1024, 1024)),
    ],
)
def test_where_the_image_lies(extend: str, size: tuple[int, int], box: Box) -> None:
    request = composed(image=SQUARE, extend=extend)
    assert (request.width, request.height) == size
    assert request.init_image == InitImage(SHA, 1.0, None, box)


@pytest.mark.parametrize(
    ("extend", "size", "box"),
    [
        ("right", "768x512", Box(0, 0, 512, 512)),
        ("left 25%", "1024x1024", Box(205, 102, 819, 819)),
        ("left", "1024x512", Box(512, 0, 512, 512)),
        ("up, down 25%", "1024x512", Box(366, 146, 293, 293)),
        ("zoom 2", "1024x512", Box(384, 128, 256, 256)),
        ("16:9", "1024x1024", Box(224, 224, 576, 576)),
    ],
)
def test_a_size_of_ones_own(extend: str, size: str, box: Box) -> None:
    request = composed(image=SQUARE, extend=extend, size=size)
    assert f"{request.width}x{request.height}" == size
    assert request.init_image == InitImage(SHA, 1.0, None, box)


def test_a_place_of_ones_own() -> None:
    request = composed(image=SQUARE, extend="512x512+600+0", size="1152x512")
    assert request.init_image == InitImage(SHA, 1.0, None, Box(600, 0, 512, 512))
    code, params = refused(image=SQUARE, extend="1024x1024+0+0", size="1024x1024")
    assert code == "extend.nothing"
    assert params == {"field": "extend", "value": "1024x1024+0+0"}
    code, params = refused(image=SQUARE, extend="512x512+600+0", size="1024x512")
    assert code == "extend.outside"
    assert params == {"field": "extend", "value": "512x512+600+0", "width": 1024, "height": 512}


LENGTHS = st.integers(64, 2000)


@st.composite
def extends(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return f"zoom {draw(st.floats(1.1, 3.0)):.3f}"
    sides = draw(
        st.lists(st.sampled_from(("left", "up", "right", "down")), min_size=1, unique=True)
    )
    return ", ".join(f"{side} {draw(st.integers(5, 100))}%" for side in sides)


@given(LENGTHS, LENGTHS, extends())
def test_the_image_keeps_its_shape_and_place(width: int, height: int, extend: str) -> None:
    request = composed(image=Picture(SHA, width, height), extend=extend)
    assert request.init_image is not None
    box = request.init_image.box
    assert box is not None
    assert box.within(request.width, request.height)
    # All of it is there but for what rounding takes.
    rounded = 0.02 + 1 / min(box.width, box.height)
    assert box.width / box.height == pytest.approx(width / height, rel=rounded)
    extent = parse_extent(extend, width, height)
    shares = shares_of(box, (request.width, request.height))
    asked = {side: getattr(extent, side) for side in SIDES if getattr(extent, side)}
    # Sides are multiples of 8, and a model has its largest and smallest: what is asked for may be
    # longer than one that has both.
    wide, high = width * (1 + extent.left + extent.right), height * (1 + extent.up + extent.down)
    fitting = max(wide, high) / min(wide, high) < 0.95 * MODEL.max_side / MODEL.min_side
    if fitting and 128 <= min(width, height) <= max(width, height) <= 500:
        assert shares.keys() <= asked.keys()
        for side, share in asked.items():
            assert shares.get(side, 0.0) == pytest.approx(share, abs=0.35)


@given(LENGTHS, LENGTHS, extends(), st.booleans())
def test_asking_again_is_asking_for_the_same(
    width: int, height: int, extend: str, masked: bool
) -> None:
    mask = Picture(MASK, width, height) if masked else None
    request = composed(image=Picture(SHA, width, height), mask=mask, extend=extend, seed=7)
    again = redraft(request, CATALOG, nsfw=False)
    assert compose(again, CATALOG, nsfw=False) == request


@given(LENGTHS, LENGTHS, extends())
def test_it_is_stored_and_read_back(width: int, height: int, extend: str) -> None:
    request = composed(image=Picture(SHA, width, height), extend=extend)
    assert GenerationRequest.from_dict(request.to_dict()) == request


def test_without_either_an_image_is_stored_as_ever() -> None:
    stored = composed(image=SQUARE).to_dict()["init_image"]
    assert stored == {"sha256": SHA, "strength": 0.6}


@given(LENGTHS, LENGTHS, extends(), st.integers(8, 32), st.integers(8, 32))
def test_whatever_the_size_all_of_the_image_is_there(
    width: int, height: int, extend: str, across: int, down: int
) -> None:
    size = f"{across * 64}x{down * 64}"
    if across * down > 24 * 24:
        size = "1536x1536"
    request = composed(image=Picture(SHA, width, height), extend=extend, size=size)
    assert request.init_image is not None
    box = request.init_image.box
    assert box is not None
    rounded = 0.02 + 1 / min(box.width, box.height)
    assert box.width / box.height == pytest.approx(width / height, rel=rounded)


class TestScaling:
    def codes(self, **fields: Any) -> list[str]:
        draft = Draft(**{"prompt": "a fox", "image": SQUARE, **fields})
        return [note.code for note in compose_with_notes(draft, CATALOG, nsfw=False).notes]

    def test_where_nothing_was_scaled_nothing_is_said(self) -> None:
        assert self.codes(extend="left") == []
        assert self.codes(mask=SQUARE) == []
        assert self.codes() == []
        # There, it is what was asked for.
        assert self.codes(extend="zoom 2") == []
        assert self.codes(extend="512x512+0+0", size="1024x512") == []

    def test_where_it_had_to_be_that_is_said(self) -> None:
        assert self.codes(extend="left 100, right 100") == ["mask.scaled"]
        assert self.codes(extend="left", size="768x512") == ["mask.scaled"]
        assert self.codes(mask=SQUARE, size="512x512") == ["mask.scaled"]
        large = Picture(SHA, 3000, 2000)
        assert self.codes(image=large, mask=large) == ["mask.scaled"]

    def test_a_masked_image_stays_as_large_as_it_is(self) -> None:
        image = Picture(SHA, 1280, 720)
        request = composed(image=image, mask=image)
        assert (request.width, request.height) == (1280, 720)


def test_a_presets_second_pass_is_left_out() -> None:
    saved = Named("mine", Options(hires=1.5, hires_strength=0.3, steps=20))
    draft = Draft(prompt="a fox", image=SQUARE, extend="left", preset="mine")
    composed = compose_with_notes(draft, CATALOG, nsfw=False, saved=[saved])
    assert composed.request.hires is None
    assert composed.request.steps == 20
    assert [note.code for note in composed.notes] == ["presets.left_out.kept"]


class TestMasks:
    def test_it_is_an_input_of_the_request(self) -> None:
        request = composed(image=SQUARE, mask=Picture(MASK, 512, 512))
        assert request.init_image == InitImage(SHA, 1.0, MASK)
        assert request.inputs == (SHA, MASK)
        assert GenerationRequest.from_dict(request.to_dict()) == request
        assert composed(image=SQUARE, mask=Picture(MASK, 512, 512), strength=0.4).init_image == (
            InitImage(SHA, 0.4, MASK)
        )

    def test_it_has_the_shape_of_its_image(self) -> None:
        assert composed(image=Picture(SHA, 1000, 750), mask=Picture(MASK, 500, 374))
        code, params = refused(image=SQUARE, mask=Picture(MASK, 1024, 768))
        assert code == "mask.shape"
        assert params == {"field": "mask", "value": "1024×768", "width": 1024, "height": 1024}

    def test_it_needs_an_image(self) -> None:
        assert refused(mask=SQUARE) == ("mask.without", {"field": "mask", "needed": "image"})
        missing = {"field": "extend", "value": "left", "needed": "image"}
        assert refused(extend="left") == ("picture.without", missing)

    def test_no_second_pass_goes_over_what_is_kept(self) -> None:
        assert refused(image=SQUARE, mask=SQUARE, hires=1.5)[0] == "hires.kept"
        assert refused(image=SQUARE, extend="left", hires=1.5, size="512x512")[0] == "hires.kept"

    def test_one_that_is_still_to_come_is_not_measured(self) -> None:
        coming = Picture("", 1, 1, measured=False)
        assert composed(image=coming, mask=coming, extend="16:9").init_image == (
            InitImage("", 1.0, "")
        )
