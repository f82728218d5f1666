"""Painting only what is masked: how it is asked for, and what becomes of sizes."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest
from bot.request import Area, Draft, GenerationRequest, InitImage, Picture, compose, redraft
from bot.request.changes import changed, fields_of
from bot.request.repainting import repainted
from tests.request.composing import CATALOG, composed

IMAGE = Picture("a" * 64, 3000, 2000)
MASK = Picture("b" * 64, 1500, 1000)


def asked(prompt: str = "a fox", **options: Any) -> GenerationRequest:
    return composed(prompt, image=IMAGE, mask=MASK, **options)


def test_the_image_keeps_its_size_and_the_part_has_the_models() -> None:
    request = asked(inpaint_area="masked")
    assert request.init_image == InitImage("a" * 64, 1.0, "b" * 64, area=Area(32, 3000, 2000))
    assert request.final_size == (3000, 2000)
    assert request.painted_size == (request.width, request.height) == (1280, 832)
    assert asked(inpaint_area="masked", size="1024x1024").painted_size == (1024, 1024)


@pytest.mark.parametrize(
    ("text", "padding", "area"),
    [
        ("Only masked", None, 32),
        (" MASKED ", 0, 0),
        ("masked", 256, 256),
        ("whole", None, None),
        ("Whole picture", None, None),
        (None, None, None),
    ],
)
def test_it_is_typed(text: str | None, padding: int | None, area: int | None) -> None:
    init = asked(inpaint_area=text, inpaint_padding=padding).init_image
    assert init is not None
    assert (init.area and init.area.padding) == area


def test_it_is_written_into_a_prompt() -> None:
    for flags in (
        "--inpaint_area masked --inpaint_padding 48",
        "--inpaint-area=masked —inpaint-padding 48",
    ):
        request = asked(f"a fox --ar 3:2 {flags}")
        assert request.prompt == "a fox"
        assert request.init_image is not None
        assert request.init_image.area == Area(48, 3000, 2000)
    assert asked("a fox --inpaint-padding-wide").prompt == "a fox --inpaint-padding-wide"
    with pytest.raises(InvalidRequest) as refused:
        asked("a fox --inpaint_padding wide")
    assert refused.value.code == "dialect.flag.value"


def test_an_infotext_says_it_as_well() -> None:
    text = (
        "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, "
        "Mask mode: Inpaint masked, Inpaint area: Only masked, Masked area padding: 12"
    )
    init = asked(text).init_image
    assert init is not None
    assert init.area == Area(12, 3000, 2000)
    # Without an image there is nothing to paint a part of.
    assert composed(text).init_image is None


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"inpaint_area": "half"}, "inpaint_area", "area.form"),
        ({"inpaint_area": "masked", "mask": None}, "inpaint_area", "area.mask"),
        ({"inpaint_area": "masked", "extend": "left"}, "inpaint_area", "area.extend"),
        ({"inpaint_area": "masked", "inpaint_padding": 257}, "inpaint_padding", "number.range"),
        ({"inpaint_area": "masked", "inpaint_padding": -1}, "inpaint_padding", "number.range"),
        ({"inpaint_padding": 32}, "inpaint_padding", "area.padding"),
        ({"inpaint_area": "masked", "hires": 1.5}, "hires", "hires.kept"),
    ],
)
def test_what_is_refused(options: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        composed(**{"image": IMAGE, "mask": MASK, **options})
    assert (refused.value.field, refused.value.code) == (field, code)


def test_a_stored_request_keeps_it_and_those_without_are_as_ever() -> None:
    request = asked(inpaint_area="masked")
    assert GenerationRequest.from_dict(request.to_dict()) == request
    assert asked().to_dict()["init_image"] == {
        "sha256": "a" * 64,
        "strength": 1.0,
        "mask": "b" * 64,
    }


@pytest.mark.parametrize("padding", [None, 7])
def test_what_is_asked_for_again_is_the_same(padding: int | None) -> None:
    request = asked(inpaint_area="masked", inpaint_padding=padding, seed=5)
    assert compose(redraft(request, CATALOG, nsfw=False), CATALOG, nsfw=False) == request
    shown = fields_of(request)
    assert "inpaint area: masked" in shown.more
    assert ("inpaint padding: 7" in shown.more) == (padding == 7)

    def again(more: str, mask: Picture | None = MASK) -> GenerationRequest:
        entered = replace(shown, more=more)
        draft = changed(
            request, entered, before=CATALOG.models[request.model], image=IMAGE, mask=mask
        )
        return compose(draft, CATALOG, nsfw=False)

    assert again(shown.more) == request
    # Without its line, all of the image is painted.
    whole = again("\n".join(line for line in shown.more.split("\n") if "inpaint" not in line))
    assert whole.init_image == InitImage("a" * 64, 1.0, "b" * 64)
    without = again(shown.more, mask=None).init_image
    assert without is not None
    assert without.area is None


def test_a_part_of_a_result_is_painted_at_the_models_size() -> None:
    large = Picture("c" * 64, 2048, 2048)

    def draft(**options: Any) -> Draft:
        return repainted(
            composed(),
            0,
            large,
            large,
            CATALOG,
            nsfw=False,
            prompt="a hat",
            strength=0.5,
            **options,
        )

    made = compose(draft(area="masked"), CATALOG, nsfw=False)
    assert (made.painted_size, made.final_size) == ((1024, 1024), (2048, 2048))
    assert compose(draft(), CATALOG, nsfw=False).painted_size == (1264, 1264)
    limited = compose(draft(area="masked", pixels_max=600_000), CATALOG, nsfw=False)
    assert limited.painted_size == (768, 768)
