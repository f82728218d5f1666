"""ControlNets: how they are typed, which image each follows, and asking for the same again."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidRequest, Refused, UserError
from bot.order import knows
from bot.request import (
    ControlUse,
    Draft,
    GenerationRequest,
    Picture,
    check_offered,
    compose,
    is_gated,
    redraft,
)
from bot.request.changes import changed, fields_of
from bot.request.controlling import parse_controls
from bot.request.lighter import lighter
from bot.request.repainting import extended, repainted
from bot.request.upscaling import upscale_of
from catalog import (
    Catalog,
    ControlNetEntry,
    ControlNets,
    DepthEntry,
    ModelEntry,
    PoseEntry,
    UpscalerEntry,
    Upscalers,
)
from catalog.control_types import MADE_OF_PHOTOS, OF_UNIONS, told_type
from catalog.families.flux2 import FLUX2
from catalog.families.sd15 import SD15
from catalog.families.sdxl import SDXL
from catalog.weight_files import ControlNetFacts

ONE, TWO, START = (Picture(digit * 64, 512, 768) for digit in "123")


def entry(key: str, **fields: Any) -> ControlNetEntry:
    return ControlNetEntry(key=key, name=fields.pop("name", key), path="org/x", **fields)


NETS = [
    entry("canny"),
    entry("my-depth", type="depth"),
    entry("union"),
    entry("off", enabled=False),
    entry("gated", nsfw=True),
    entry("pose-15", family="sd15"),
    entry("of-demo", models=("demo",)),
    entry("broken"),
    entry("any", type="other"),
]
CONTROLNETS = ControlNets(
    {each.key: each for each in NETS},
    facts={"union": ControlNetFacts("union", "sdxl", OF_UNIONS[8])},
    unfit={"broken": "it is a LoRA"},
    depth=DepthEntry(path="org/depth"),
    pose=PoseEntry(path="org/pose"),
)
MODELS = [
    ModelEntry(key="base", name="Base", path="org/base"),
    ModelEntry(key="demo", name="Demo", path="builtin:demo", demo=True),
    ModelEntry(key="old", name="Old", path="org/old", family=SD15),
    ModelEntry(key="klein", name="Klein", path="org/k", family=FLUX2, variant="distilled"),
]
CATALOG = Catalog({each.key: each for each in MODELS}, {}, "base", controlnets=CONTROLNETS)


def composed(**fields: Any) -> GenerationRequest:
    return compose(Draft(**{"prompt": "a fox", **fields}), CATALOG, nsfw=False)


def refused(**fields: Any) -> tuple[str, dict[str, Any]]:
    with pytest.raises(UserError) as error:
        composed(**fields)
    return error.value.code, error.value.params


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("canny", [ControlUse("canny", ONE.sha256, "canny")]),
        ("Canny : 0.8", [ControlUse("canny", ONE.sha256, "canny", 0.8)]),
        ("canny:0,8", [ControlUse("canny", ONE.sha256, "canny", 0.8)]),
        ("my-depth:2", [ControlUse("my-depth", ONE.sha256, "depth", 2.0)]),
        ("union/openpose as map", [ControlUse("union", ONE.sha256, "openpose", is_map=True)]),
        (
            "union/openpose:0.5",
            [ControlUse("union", ONE.sha256, "openpose", 0.5, of_photo=True)],
        ),
        ("union/scribble", [ControlUse("union", ONE.sha256, "scribble", of_photo=True)]),
        ("union/scribble as map", [ControlUse("union", ONE.sha256, "scribble", is_map=True)]),
        ("union", [ControlUse("union", ONE.sha256, "canny")]),
        ("canny/Canny", [ControlUse("canny", ONE.sha256, "canny")]),
        ("any/depth", [ControlUse("any", ONE.sha256, "depth")]),
        ("canny until 60%", [ControlUse("canny", ONE.sha256, "canny", end=0.6)]),
        ("canny until 62,5 %", [ControlUse("canny", ONE.sha256, "canny", end=0.625)]),
        (
            "canny:1 FROM 12.5% until 60 % As Map",
            [ControlUse("canny", ONE.sha256, "canny", 1.0, 0.125, 0.6, is_map=True)],
        ),
        (
            "canny, my-depth:0.5",
            [
                ControlUse("canny", ONE.sha256, "canny"),
                ControlUse("my-depth", ONE.sha256, "depth", 0.5),
            ],
        ),
    ],
)
def test_what_can_be_typed(text: str, uses: list[ControlUse]) -> None:
    assert [*composed(control=text, control_images=(ONE,)).controls] == uses


def test_which_image_each_follows() -> None:
    def followed(**fields: Any) -> list[str]:
        return [use.sha256 for use in composed(**fields).controls]

    both = "canny, my-depth"
    assert followed(control=both, control_images=(ONE, TWO)) == [ONE.sha256, TWO.sha256]
    assert followed(control=both, control_images=(ONE,), image=START) == [ONE.sha256] * 2
    assert followed(control=both, image=START) == [START.sha256] * 2
    assert followed(image=START) == []
    request = composed(control_images=(ONE,))
    assert request.controls == (ControlUse("canny", ONE.sha256, "canny"),)
    assert (request.width, request.height) == (832, 1280)
    assert request.inputs == (ONE.sha256,)
    assert request.names == ("base", "canny")


def test_a_pose_is_refused_where_nothing_tells_it_unless_a_skeleton_is_given() -> None:
    catalog = replace(CATALOG, controlnets=replace(CONTROLNETS, pose=None))
    asked = Draft(prompt="a fox", control="union/openpose", control_images=(ONE,))
    with pytest.raises(UserError) as error:
        compose(asked, catalog, nsfw=False)
    assert error.value.code == "control.no_pose"
    given = compose(replace(asked, control="union/openpose as map"), catalog, nsfw=False)
    assert given.controls[0].is_map
    assert not given.needs_pose
    assert compose(asked, CATALOG, nsfw=False).needs_pose


def test_what_an_earlier_version_took_for_a_skeleton_stays_one() -> None:
    """Then, no pose was found in a photo: the image was shown to the ControlNet as it was."""
    asked = composed(control="union/openpose", control_images=(ONE,))
    stored = asked.to_dict()
    assert stored["controls"][0]["of_photo"] is True
    assert GenerationRequest.from_dict(stored) == asked
    del stored["controls"][0]["of_photo"]
    before = GenerationRequest.from_dict(stored)
    assert not before.needs_pose
    assert before.to_dict() == stored
    assert str(before.controls[0]) == "union/openpose:1 as map"
    sketch = replace(before.controls[0], type="scribble")
    assert str(sketch) == "union/scribble:1"


def test_depth_is_refused_where_nothing_tells_it_unless_a_map_is_given() -> None:
    catalog = replace(CATALOG, controlnets=replace(CONTROLNETS, depth=None))
    asked = Draft(prompt="a fox", control="my-depth", control_images=(ONE,))
    with pytest.raises(Refused) as error:
        compose(asked, catalog, nsfw=False)
    assert error.value.code == "control.no_depth"
    given = compose(replace(asked, control="my-depth as map"), catalog, nsfw=False)
    assert given.controls[0].is_map


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"control": "canny"}, "picture.without"),
        ({"control": "canny", "image": START, "extend": "left"}, "picture.without"),
        ({"control": "canny:3", "control_images": (ONE,)}, "number.range"),
        ({"control": "canny:x", "control_images": (ONE,)}, "control.form"),
        ({"control": "canny from 60% until 60%", "control_images": (ONE,)}, "control.steps"),
        ({"control": "canny until 120%", "control_images": (ONE,)}, "control.steps"),
        ({"control": "canny, canny, canny", "control_images": (ONE,)}, "control.many"),
        ({"control": "canny", "control_images": (ONE, TWO)}, "control.images"),
        ({"control": "cany", "control_images": (ONE,)}, "control.unknown"),
        ({"control": "canny 0.8", "control_images": (ONE,)}, "control.form"),
        ({"control": "canny until 60", "control_images": (ONE,)}, "control.form"),
        ({"control": "union/other", "control_images": (ONE,)}, "control.type"),
        ({"control": "canny/depth", "control_images": (ONE,)}, "control.type"),
        ({"control_images": (ONE, TWO)}, "control.unnamed"),
        ({"control": "canny, of-demo", "control_images": (ONE,)}, "control.other_model_offered"),
        ({"control": "zzzzzz", "control_images": (ONE,)}, "control.unlike"),
        ({"control": "gated", "control_images": (ONE,)}, "control.unlike"),
        ({"control": "off", "control_images": (ONE,)}, "control.disabled"),
        ({"control": "broken", "control_images": (ONE,)}, "control.unusable"),
        ({"control": "pose-15", "control_images": (ONE,)}, "control.misfit_offered"),
        ({"control": "of-demo", "control_images": (ONE,)}, "control.other_model_offered"),
        ({"control": "canny", "control_images": (ONE,), "model": "klein"}, "family.control"),
        ({"control_images": (ONE,), "model": "klein"}, "family.control"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], code: str) -> None:
    assert refused(**fields)[0] == code


def test_where_none_is_offered() -> None:
    alone = Catalog({"base": MODELS[0]}, {}, "base")
    for control in (None, "canny"):
        draft = Draft(prompt="a fox", control=control, control_images=(ONE,))
        with pytest.raises(Refused) as error:
            compose(draft, alone, nsfw=False)
        assert error.value.code == "control.none"
        assert error.value.params == {"family": SDXL.name}


def test_what_is_offered_instead_is_named() -> None:
    follow = {"control_images": (ONE,)}
    code, params = refused(control="canny", model="demo", **follow)
    assert (code, params["offered"]) == ("control.other_model_offered", ("of-demo",))
    code, params = refused(control="pose-15", model="demo", **follow)
    assert (code, params["offered"]) == ("control.misfit_offered", ("of-demo",))
    code, params = refused(control="canny/depth", **follow)
    assert (code, params["allowed"]) == ("control.type", ("canny",))
    # Where nothing is offered for the model, but something for others of its family.
    alone = replace(CATALOG, controlnets=ControlNets({"canny": entry("canny")}))
    for control, code in (
        (None, "control.none_for_model"),
        ("zzzzzz", "control.none_for_model"),
        ("canny", "control.other_model"),
    ):
        draft = Draft(prompt="a fox", model="demo", control=control, control_images=(ONE,))
        with pytest.raises(Refused) as error:
            compose(draft, alone, nsfw=False)
        assert error.value.code == code
    draft = Draft(prompt="a fox", model="old", control="canny", control_images=(ONE,))
    with pytest.raises(Refused) as error:
        compose(draft, alone, nsfw=False)
    assert error.value.code == "control.misfit"
    # One that only others may know of is none.
    hidden = replace(CATALOG, controlnets=ControlNets({"gated": entry("gated", nsfw=True)}))
    draft = Draft(prompt="a fox", model="demo", control_images=(ONE,))
    with pytest.raises(Refused) as error:
        compose(draft, hidden, nsfw=False)
    assert error.value.code == "control.none"


def test_the_second_image_alone_is_not_the_first() -> None:
    both = Draft(prompt="a fox", control="canny, my-depth")
    with pytest.raises(InvalidRequest) as error:
        both.with_pictures({"control_image2": TWO})
    assert (error.value.field, error.value.code) == ("control_image2", "control.second")
    with pytest.raises(InvalidRequest):
        replace(both, extend="left").with_pictures({"image": START, "control_image2": TWO})
    beside = both.with_pictures({"image": START, "control_image2": TWO})
    assert [use.sha256 for use in compose(beside, CATALOG, nsfw=False).controls] == [
        START.sha256,
        TWO.sha256,
    ]


def test_what_an_earlier_result_followed_may_be_followed_again() -> None:
    """AUTOMATIC1111's modules make any map for any ControlNet."""
    asked = Draft(
        prompt="a fox", control="canny/tile", control_images=(ONE,), other_types=("canny/tile",)
    )
    request = compose(asked, CATALOG, nsfw=False)
    assert request.controls == (ControlUse("canny", ONE.sha256, "tile"),)
    again = redraft(request, CATALOG, nsfw=False)
    assert compose(again, CATALOG, nsfw=False).controls == request.controls
    draft = changed(request, fields_of(request), before=MODELS[0], control_images=(ONE,))
    assert compose(draft, CATALOG, nsfw=False).controls == request.controls
    other = replace(draft, control="canny/depth")
    with pytest.raises(InvalidRequest):
        compose(other, CATALOG, nsfw=False)
    union = replace(asked, control="union/other", other_types=("union/other",))
    with pytest.raises(InvalidRequest):
        compose(union, CATALOG, nsfw=False)


USES = st.builds(
    ControlUse,
    key=st.sampled_from(["canny", "my-depth", "union", "any"]),
    sha256=st.sampled_from([ONE.sha256, TWO.sha256]),
    type=st.just("canny"),
    weight=st.integers(0, 2_000_000).map(lambda n: n / 1_000_000),
    start=st.integers(0, 49_999_999).map(lambda n: n / 1_000_000 / 100),
    end=st.integers(50_000_000, 100_000_000).map(lambda n: n / 1_000_000 / 100),
    is_map=st.booleans(),
).flatmap(
    lambda use: st.sampled_from(
        CONTROLNETS.types_of(use.key) if use.key != "any" else OF_UNIONS[8]
    ).map(lambda kind: replace(use, type=kind, of_photo=kind in MADE_OF_PHOTOS and not use.is_map))
)


@given(st.lists(USES, min_size=1, max_size=2))
def test_asking_again_asks_for_the_same(uses: list[ControlUse]) -> None:
    typed = ", ".join(map(str, uses))
    assert all(len(str(use)) < 100 for use in uses)
    images = tuple(Picture(use.sha256, 512, 512) for use in uses)
    request = composed(control=typed, control_images=images, seed=1)
    assert [*request.controls] == uses
    assert GenerationRequest.from_dict(request.to_dict()) == request
    again = compose(redraft(request, CATALOG, nsfw=False), CATALOG, nsfw=False)
    assert again.controls == request.controls


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        asks = parse_controls(text)
    except InvalidRequest:
        return
    assert all(ask.name and 0 <= ask.start < ask.end <= 1 for ask in asks)
    assert bool(asks) == bool(re.sub(r"[\s,]", "", text))


def test_long_texts_are_refused_at_once() -> None:
    blanks = "canny" + " " * 390 + ":1"
    assert parse_controls(blanks)[0].name == "canny"
    with pytest.raises(InvalidRequest) as error:
        parse_controls("canny" + " " * 100_000 + ":")
    assert error.value.code == "control.form"
    assert len(str(error.value.params["value"])) < 500


def test_the_form_has_a_line_for_them() -> None:
    request = composed(control="canny:0.8 until 60%", control_images=(ONE,), seed=1)
    shown = fields_of(request)
    assert "control: canny/canny:0.8 until 60%" in shown.more
    draft = changed(request, shown, before=MODELS[0], control_images=(ONE,))
    assert compose(draft, CATALOG, nsfw=False).controls == request.controls
    without = shown.more.replace("control: canny/canny:0.8 until 60%", "")
    entered = type(shown)(shown.prompt, shown.negative, shown.model, shown.loras, without)
    draft = changed(request, entered, before=MODELS[0], control_images=(ONE,))
    assert compose(draft, CATALOG, nsfw=False).controls == ()


def test_what_is_gated_off_or_gone_is_so_for_earlier_requests_too() -> None:
    request = composed(control="canny", control_images=(ONE,), seed=1)
    gated = replace(request, controls=(replace(request.controls[0], key="gated"),))
    assert is_gated(gated, CATALOG)
    assert not is_gated(request, CATALOG)
    check_offered(request, CATALOG, nsfw=False)
    for key in ("off", "gated", "gone"):
        earlier = replace(request, controls=(replace(request.controls[0], key=key),))
        with pytest.raises(UserError):
            check_offered(earlier, CATALOG, nsfw=False)
        assert knows(CATALOG, earlier) == (key != "gone")


def test_the_last_one_goes_first_when_memory_runs_out() -> None:
    request = composed(control="canny, my-depth", control_images=(ONE,), size="1024x1024")
    less = lighter(request, SDXL)
    assert less
    assert less.controls == request.controls[:1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["control_v11f1p_sd15_depth_fp16"], "depth"),
        (["control-lora-openposeXL2-rank256"], "openpose"),
        (["t2i-adapter-sketch-sdxl-1.0"], "scribble"),
        (["diffusion_pytorch_model", "controlnet-canny-sdxl-1.0"], "canny"),
        (["controlnet-union-sdxl-1.0"], "other"),
        (["control_v11p_sd15_lineart"], "lineart"),
        (["control_v11p_sd15s2_lineart_anime"], "lineart"),
        (["outline-of-a-pipeline"], "other"),
    ],
)
def test_names_tell_the_type(names: list[str], told: str) -> None:
    assert told_type(names) == told


def test_what_an_extended_or_enlarged_image_followed_is_not_followed_again() -> None:
    request = composed(control="canny", control_images=(ONE,), seed=1)
    image = Picture("9" * 64, 832, 1280)
    part = repainted(request, 0, image, image, CATALOG, nsfw=False, prompt="a wolf", strength=1.0)
    assert compose(part, CATALOG, nsfw=False).controls == request.controls
    wider = extended(request, 0, image, "left", CATALOG, nsfw=False)
    assert compose(wider, CATALOG, nsfw=False).controls == ()
    upscaler = UpscalerEntry(key="u", name="u", path="a/b")
    offered = replace(CATALOG, upscalers=Upscalers({"u": upscaler}))
    larger = upscale_of(request, 0, image, offered, nsfw=False, mode="repaint")
    assert larger.controls == ()
