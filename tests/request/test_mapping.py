"""Requests for a map alone."""

from dataclasses import replace

import pytest

from bot.errors import InvalidRequest, Refused
from bot.request import MAP_SIDE, ControlUse, GenerationRequest, MapDraft, Picture
from bot.request.mapping import MADE, compose_map
from catalog import ControlNets
from tests.request.test_controlling import CATALOG, ONE

WIDE = Picture("a" * 64, 1200, 800)


@pytest.mark.parametrize("kind", MADE)
def test_it_needs_no_model_and_keeps_the_shape_of_the_image(kind: str) -> None:
    request = compose_map(MapDraft(image=WIDE, type=kind), CATALOG)
    assert (request.width, request.height) == (768, 512)
    assert (request.model, request.made_with, request.steps) == ("", kind, 0)
    [use] = request.controls
    assert request.only_map == use
    assert (use.key, use.type, use.sha256) == ("", kind, WIDE.sha256)
    assert use.of_photo == (kind in ("openpose", "scribble"))
    assert request.inputs == (WIDE.sha256,)
    assert request.names == ()
    assert (request.needs_depth, request.needs_pose) == (kind == "depth", kind == "openpose")
    assert GenerationRequest.from_dict(request.to_dict()) == request
    assert str(use) == kind


def test_its_shorter_side_can_be_chosen() -> None:
    least, _, most = MAP_SIDE
    tall = Picture("a" * 64, 100, 800)
    for side in (least, most):
        request = compose_map(MapDraft(image=tall, type="canny", side=side), CATALOG)
        assert (request.width, request.height) == (side, 4 * side)  # and no longer than that
        with pytest.raises(InvalidRequest):
            compose_map(
                MapDraft(image=tall, type="canny", side=side + (1 if side == most else -1)), CATALOG
            )


@pytest.mark.parametrize(
    ("kind", "code"), [("depth", "control.no_depth"), ("openpose", "control.no_pose")]
)
def test_what_nothing_tells_is_refused(kind: str, code: str) -> None:
    bare = replace(CATALOG, controlnets=ControlNets())
    with pytest.raises(Refused) as refused:
        compose_map(MapDraft(image=ONE, type=kind), bare)
    assert refused.value.code == code
    compose_map(MapDraft(image=ONE, type="canny"), bare)
    with pytest.raises(ValueError, match="mlsd"):
        compose_map(MapDraft(image=ONE, type="mlsd"), bare)


def test_a_request_for_an_image_is_none_for_a_map() -> None:
    request = compose_map(MapDraft(image=ONE, type="canny"), CATALOG)
    use = ControlUse("canny", ONE.sha256, "canny")
    assert replace(request, controls=(use,)).only_map is None
    assert replace(request, controls=(use,)).control_keys == ("canny",)
