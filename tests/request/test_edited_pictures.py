"""Images to edit: which model does it, how many it takes, and what becomes of the size."""

from dataclasses import replace
from typing import Any

import pytest

from bot.errors import InvalidRequest, Refused
from bot.levels.defaults import with_defaults
from bot.levels.rules import Rules
from bot.request import EDITED, Draft, GenerationRequest, Picture, compose, redraft
from catalog import Catalog, ModelEntry
from catalog.families import FLUX2

SDXL = ModelEntry(key="sdxl", name="SDXL", path="a/b")
KLEIN = ModelEntry(key="klein", name="FLUX.2 klein", path="a/klein", family="flux2")  # type: ignore[arg-type]
BOTH = Catalog({"sdxl": SDXL, "klein": KLEIN}, {}, "sdxl")
WIDE = Picture("a" * 64, 2000, 1000)
SMALL = Picture("b" * 64, 64, 64)


def composed(*pictures: Picture, catalog: Catalog = BOTH, **fields: Any) -> GenerationRequest:
    return compose(Draft(prompt="make it night", pictures=pictures, **fields), catalog, nsfw=False)


def test_the_first_model_that_edits_is_taken_where_none_is_named() -> None:
    request = composed(WIDE, SMALL)
    assert request.model == "klein"
    assert request.pictures == request.inputs == (WIDE.sha256, SMALL.sha256)
    assert compose(Draft(prompt="a fox"), BOTH, nsfw=False).model == "sdxl"


def test_the_result_has_the_shape_of_the_first_image() -> None:
    request = composed(WIDE, SMALL)
    assert (request.width, request.height) == (1456, 720)
    assert composed(WIDE, size="512x512").width == 512


def test_a_model_that_does_not_edit_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidRequest) as refused:
        composed(WIDE, model="sdxl")
    assert (refused.value.field, refused.value.code) == ("model", "edit.unable")
    assert refused.value.params["allowed"] == ("klein",)
    only = Catalog({"sdxl": SDXL}, {}, "sdxl")
    for fields in ({}, {"model": "sdxl"}):
        with pytest.raises(Refused) as none:
            composed(WIDE, catalog=only, **fields)
        assert none.value.code == "edit.none"


def test_more_images_than_it_takes_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        composed(*[SMALL] * 5)
    assert (refused.value.code, refused.value.params["max"]) == ("edit.many", 4)


@pytest.mark.parametrize(
    ("size", "code", "limit"),
    [
        ((63, 200), "picture.small", {"min": 64}),
        ((30, 20), "picture.small", {"min": 64}),
        ((900, 70), "picture.narrow", {"max": 8}),
        ((70, 900), "picture.narrow", {"max": 8}),
        ((64, 512), None, {}),
    ],
)
def test_images_that_cannot_be_edited_are_refused_before_anything_is_queued(
    size: tuple[int, int], code: str | None, limit: dict[str, int]
) -> None:
    picture = Picture("c" * 64, *size)
    if code is None:
        assert composed(WIDE, picture).pictures[1] == picture.sha256
        return
    with pytest.raises(InvalidRequest) as refused:
        composed(WIDE, picture)
    assert (refused.value.field, refused.value.code) == ("image", code)
    width, height = size
    assert refused.value.params == {"field": "image", "width": width, "height": height, **limit}


def test_what_only_stands_for_an_image_is_not_judged() -> None:
    """One that is still to come, or of which an earlier request only says the shape."""
    assert composed(Picture("", 1, 1, measured=False)).pictures == ("",)
    thin = ModelEntry(key="klein", name="klein", path="a", family=FLUX2, min_side=64)
    known = Catalog({"klein": thin}, {}, "klein")
    request = composed(WIDE, catalog=known, size="1024x64")
    assert compose(redraft(request, known, nsfw=False), known, nsfw=False) == request


def test_a_default_model_that_does_not_edit_is_passed_over() -> None:
    rules = Rules()
    rules = replace(rules, defaults=replace(rules.defaults, model=("sdxl",)))
    for pictures, model in (((WIDE,), "klein"), ((), "sdxl")):
        draft = Draft(prompt="a fox", pictures=pictures)
        filled = with_defaults(draft, rules, BOTH, nsfw=False, adapters_max=4)
        assert filled.model == model


def test_they_are_stored_and_asked_for_again() -> None:
    request = composed(WIDE, SMALL)
    assert GenerationRequest.from_dict(request.to_dict()) == request
    assert "pictures" not in compose(Draft(prompt="a fox"), BOTH, nsfw=False).to_dict()
    again = compose(redraft(request, BOTH, nsfw=False), BOTH, nsfw=False)
    assert again == request


def test_they_are_given_by_name_one_by_one() -> None:
    draft = Draft(prompt="a fox").with_pictures({EDITED[1]: SMALL, EDITED[0]: WIDE})
    assert draft.pictures == (WIDE, SMALL)
    assert draft.with_pictures({}).pictures == (WIDE, SMALL)
