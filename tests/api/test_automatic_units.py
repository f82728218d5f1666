"""Units of sd-webui-controlnet: what is understood, refused, or named as left out."""

from typing import Any

import pytest
import webuiapi
from fastapi.exceptions import RequestValidationError
from PIL import Image

from bot.api.automatic.bodies import Img2Img, Txt2Img
from bot.api.automatic.translating import translate
from bot.api.automatic.units import ADDRESS, NEUTRAL, WITHOUT_EFFECT, Followed, Unit, Units
from bot.api.automatic.units import understood as read
from bot.errors import InvalidRequest
from bot.request import CONTROL_IMAGES, ControlUse, Picture, compose
from bot.request.dialects.controlnet import MODULES
from catalog import (
    Catalog,
    ControlNetEntry,
    ControlNetFacts,
    ControlNets,
    DepthEntry,
    ModelEntry,
    PoseEntry,
)
from catalog.control_types import OF_UNIONS
from tests.language import TEXTS

MODEL = ModelEntry(key="base", name="Base", path="org/base")
ENTRIES = [
    ControlNetEntry(key="canny", name="Canny edges", path="org/canny"),
    ControlNetEntry(key="depth", name="Depth", path="controlnets/control-depth.safetensors"),
    ControlNetEntry(key="sketch", name="Scribbles", path="org/scribble"),
    ControlNetEntry(key="union", name="Union", path="org/union", type="canny"),
]
CONTROLNETS = ControlNets(
    entries={entry.key: entry for entry in ENTRIES},
    facts={"union": ControlNetFacts("union", "sdxl", OF_UNIONS[8])},
    depth=DepthEntry(path="org/depth"),
    pose=PoseEntry(path="org/pose"),
)
CATALOG = Catalog({"base": MODEL}, {}, "base", controlnets=CONTROLNETS)
IMAGE = "AAAA"
UNIT: dict[str, Any] = {"module": "canny", "model": "canny", "image": IMAGE}
say = TEXTS.speaker()


def body(*units: dict[str, Any], script: str = "controlnet", **fields: Any) -> Txt2Img:
    return Txt2Img(prompt="a star", alwayson_scripts={script: {"args": [*units]}}, **fields)


def understood(*units: dict[str, Any], **fields: Any) -> Units:
    return read(body(*units, **fields), CONTROLNETS)


def used(found: Units) -> list[ControlUse]:
    """What is composed of it."""
    draft = translate(Txt2Img(prompt="a star"), MODEL).draft
    pictures = {
        name: Picture(name, 64, 64) for name, _ in zip(CONTROL_IMAGES, found.images, strict=False)
    }
    options = {"control": found.control, "other_types": found.other_types}
    composed = compose(
        type(draft).from_options({**vars_of(draft), **options}).with_pictures(pictures),
        CATALOG,
        nsfw=False,
    )
    return [*composed.controls]


def vars_of(draft: Any) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__dataclass_fields__}


def told(found: Units) -> list[tuple[str, str]]:
    for notice in found.warnings:
        assert say(notice.code, **notice.params)
    return [
        (notice.code, str(notice.params["field"]).removeprefix(ADDRESS))
        for notice in found.warnings
    ]


def test_all_that_is_the_same_here() -> None:
    found = understood(
        {
            "enabled": True,
            "module": "canny",
            "model": "Canny edges [d14c016b]",
            "weight": 0.8,
            "image": IMAGE,
            "resize_mode": "Crop and Resize",
            "guidance_start": 0.2,
            "guidance_end": 0.6,
            "control_mode": "Balanced",
            "pixel_perfect": True,
            "processor_res": 512,
            "threshold_a": 100,
            "threshold_b": 200,
            "hr_option": "Both",
            "low_vram": False,
            "save_detected_map": True,
        }
    )
    field = f"{ADDRESS}[0].image"
    assert found.images == (Followed(field, IMAGE, stretched=False),)
    assert found.warnings == ()
    name = CONTROL_IMAGES[0]
    assert used(found) == [ControlUse("canny", name, "canny", 0.8, 0.2, 0.6)]


def test_nothing_else_is_taken_for_it() -> None:
    nothing: tuple[dict[str, Any] | None, ...] = (
        *(None, {}, {"controlnet": {"args": []}}, {"controlnet": {}}, {"other": [UNIT]}),
    )
    for scripts in nothing:
        assert read(Txt2Img(prompt="a", alwayson_scripts=scripts), CONTROLNETS) == Units()
    assert understood({**UNIT, "enabled": False}) == Units()
    # What a client sends for a unit that nobody has filled in.
    assert understood({"module": "none", "model": "None", "image": None}) == Units()


@pytest.mark.parametrize("script", ["ControlNet", "controlnet", " CONTROLNET "])
def test_the_script_in_any_case(script: str) -> None:
    assert understood(UNIT, script=script).control == "canny/canny:1"


@pytest.mark.parametrize(
    ("module", "model", "type_", "is_map"),
    [
        ("canny", "canny", "canny", False),
        ("Canny", "union", "canny", False),
        ("none", "canny", "canny", True),
        (None, "canny", "canny", True),
        ("none", "sketch", "scribble", True),
        ("depth_anything_v2", "depth", "depth", False),
        ("depth_midas", "union", "depth", False),
        ("invert", "sketch", "scribble", False),
        ("invert (from white bg & black line)", "union", "lineart", False),
        ("tile_resample", "union", "tile", False),
        ("openpose", "union", "openpose", False),
        ("scribble_xdog", "sketch", "scribble", False),
        ("depth_anything_v2", "canny", "depth", False),
    ],
)
def test_a_module_makes_the_map_and_none_takes_it_as_it_is(
    module: str | None, model: str, type_: str, *, is_map: bool
) -> None:
    [use] = used(understood({**UNIT, "module": module, "model": model}))
    assert (use.key, use.type, use.is_map) == (model, type_, is_map)


@pytest.mark.parametrize(
    ("said", "type_"),
    [
        *(("OpenPose", "openpose"), ("Depth", "depth"), ("Soft Edge", "softedge")),
        *(("Hard Edge", "canny"), ("Normal Map", "normal"), ("Segmentation", "segment")),
        *(("Tile", "tile"), ("Unknown", "canny")),
    ],
)
def test_a_union_is_told_what_a_finished_map_shows(said: str, type_: str) -> None:
    found = understood({**UNIT, "module": "none", "model": "union", "union_control_type": said})
    assert ([use.type for use in used(found)], told(found)) == ([type_], [])


def test_a_file_is_a_name_too() -> None:
    assert understood({**UNIT, "model": "control-depth [0123abcd]"}).control == "depth/canny:1"


@pytest.mark.parametrize("name", ["control_v11p_sd15_openpose [cab727d4]", "None", "a:b,c"])
def test_what_is_not_here_is_refused_with_what_is(name: str) -> None:
    found = understood({**UNIT, "enabled": True, "model": name})
    with pytest.raises(InvalidRequest) as caught:
        used(found)
    assert caught.value.code in ("control.unlike", "control.unknown")


@pytest.mark.parametrize("module", ["openpose_faceonly", "reference_only", "softedge_hed"])
def test_a_module_that_is_not_here_is_refused(module: str) -> None:
    """Otherwise the photo itself would be taken for the pose in it."""
    with pytest.raises(InvalidRequest) as caught:
        understood({**UNIT, "module": module})
    assert (caught.value.code, caught.value.params["value"]) == ("api.automatic.module", module)
    assert module in say(caught.value.code, **caught.value.params)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"weight": 2.5}, {"weight": -0.1}, {"weight": "much"}, {"weight": True}),
        *({"guidance_end": 1.5}, {"guidance_start": -1}, {"module": 7}, {"enabled": "perhaps"}),
    ],
)
def test_what_is_out_of_range_is_named_as_it_was_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestValidationError) as caught:
        understood(UNIT, {**UNIT, **wrong})
    [name] = wrong
    assert [error["loc"] for error in caught.value.errors()] == [("body", f"{ADDRESS}[1]", name)]


def test_an_end_before_the_start_is_refused() -> None:
    found = understood({**UNIT, "guidance_start": 0.8, "guidance_end": 0.4})
    with pytest.raises(InvalidRequest) as caught:
        used(found)
    assert caught.value.code == "control.steps"


class TestImages:
    @pytest.mark.parametrize(
        "sent",
        [
            *({"image": IMAGE}, {"input_image": IMAGE}, {"image": {"image": IMAGE, "mask": None}}),
            *({"image": [{"image": IMAGE}]}, {"image": [IMAGE]}, {"image": [IMAGE, None]}),
        ],
    )
    def test_in_any_form(self, sent: dict[str, Any]) -> None:
        found = understood({"module": "canny", "model": "canny", **sent})
        assert [image.picture for image in found.images] == [IMAGE]
        assert found.warnings == ()

    @pytest.mark.parametrize("sent", [7, [7], {"image": 7}, ["a", "b", "c"]])
    def test_in_no_other(self, sent: Any) -> None:
        with pytest.raises(InvalidRequest) as caught:
            understood({**UNIT, "image": sent})
        assert caught.value.code == "api.picture.encoding"

    @pytest.mark.parametrize(
        ("mode", "stretched", "named"),
        [
            *((None, False, False), (0, True, False), (1, False, False), (2, False, True)),
            *((3, True, False), (9, False, True), ("Just Resize", True, False)),
            *(("Scale to Fit (Inner Fit)", False, False), ("Resize and Fill", False, True)),
        ],
    )
    def test_are_stretched_or_cropped(
        self, mode: int | str | None, *, stretched: bool, named: bool
    ) -> None:
        found = understood({**UNIT, "resize_mode": mode}, width=512)
        assert [image.stretched for image in found.images] == [stretched]
        ignored = ("api.automatic.ignored", "[0].resize_mode")
        assert told(found) == [ignored] * named
        # Without a size, the result has the shape of the image.
        assert told(understood({**UNIT, "resize_mode": mode})) == []

    def test_without_any_all_follow_the_one_to_start_from(self) -> None:
        start = Img2Img(
            init_images=["BBBB"],
            alwayson_scripts={"controlnet": {"args": [{"model": "canny", "module": "canny"}]}},
        )
        assert read(start, CONTROLNETS).images == ()

    def test_one_without_follows_the_one_to_start_from_beside_others(self) -> None:
        without = {**UNIT, "image": None}
        scripts = {"controlnet": {"args": [without, UNIT]}}
        start = Img2Img(init_images=["BBBB"], resize_mode=1, alwayson_scripts=scripts)
        found = read(start, CONTROLNETS)
        assert found.images == (
            Followed("init_images", "BBBB", stretched=False),
            Followed(f"{ADDRESS}[1].image", IMAGE, stretched=False),
        )
        start.resize_mode = 0
        assert read(start, CONTROLNETS).images[0].stretched
        with pytest.raises(InvalidRequest) as caught:
            understood(without, UNIT)
        assert caught.value.params["field"] == f"{ADDRESS}[0].image"


def test_two_follow_an_image_each_and_a_third_is_too_many() -> None:
    second = {**UNIT, "model": "depth", "module": "depth_anything_v2", "image": "BBBB"}
    off = {**UNIT, "enabled": False}
    found = understood(UNIT, off, second)
    assert [image.picture for image in found.images] == [IMAGE, "BBBB"]
    assert [(use.key, use.sha256) for use in used(found)] == [
        ("canny", CONTROL_IMAGES[0]),
        ("depth", CONTROL_IMAGES[1]),
    ]
    with pytest.raises(InvalidRequest) as caught:
        used(understood(UNIT, second, UNIT))
    assert caught.value.code == "control.many"


class TestWhatIsNamed:
    @pytest.mark.parametrize(
        "sent",
        [
            {"control_mode": "My prompt is more important"},
            {"control_mode": 2},
            {"guessmode": True},
            {"mask": IMAGE},
            {"mask_image": IMAGE},
            {"image": {"image": IMAGE, "mask": IMAGE}},
            {"advanced_weighting": [1.0, 0.5]},
            {"effective_region_mask": IMAGE},
            {"threshold_a": 64},
            {"threshold_b": 64},
            {"processor_res": 512},
            {"union_control_type": "Inpaint"},
        ],
    )
    def test_what_is_done_otherwise(self, sent: dict[str, Any]) -> None:
        [name] = sent
        assert told(understood({**UNIT, **sent})) == [("api.automatic.ignored", f"[0].{name}")]

    @pytest.mark.parametrize(
        "sent",
        [
            {"threshold_a": -1, "threshold_b": 0},
            {"processor_res": -1},
            {"processor_res": 512, "pixel_perfect": True},
            {"module": "none", "processor_res": 512, "threshold_a": 64, "threshold_b": 64},
            {"module": "invert", "model": "sketch", "processor_res": 512, "threshold_a": 64},
        ],
    )
    def test_but_not_what_changes_nothing(self, sent: dict[str, Any]) -> None:
        assert told(understood({**UNIT, **sent})) == []

    def test_a_map_of_the_size_of_the_result_is_the_same(self) -> None:
        assert told(understood({**UNIT, "processor_res": 512}, width=768, height=512)) == []
        other = understood({**UNIT, "processor_res": 512}, width=768, height=1024)
        assert told(other) == [("api.automatic.ignored", "[0].processor_res")]

    def test_another_estimator(self) -> None:
        found = understood({**UNIT, "module": "depth_zoe", "model": "depth"})
        assert told(found) == [("api.automatic.module_other", "[0].module")]
        [notice] = found.warnings
        assert "depth_anything_v2" in say(notice.code, **notice.params)

    def test_more_of_a_pose_than_its_body(self) -> None:
        found = understood({**UNIT, "module": "openpose_full", "model": "union"})
        [use] = used(found)
        assert (use.type, use.of_photo) == ("openpose", True)
        assert told(found) == [("api.automatic.module_other", "[0].module")]

    def test_passes_only_where_there_are_two(self) -> None:
        sent = {**UNIT, "hr_option": "High res only"}
        assert told(understood(sent)) == []
        ignored = ("api.automatic.ignored", "[0].hr_option")
        assert told(understood(sent, enable_hr=True)) == [ignored]

    def test_what_is_not_known(self) -> None:
        assert told(understood({**UNIT, "loud": 1})) == [("api.field.unknown", "[0].loud")]

    def test_no_field_is_used_and_named_as_without_effect(self) -> None:
        assert not {*Unit.model_fields} & {*NEUTRAL, *WITHOUT_EFFECT}


def test_of_its_own_client_nothing_but_what_it_always_sends_is_named() -> None:
    """`webuiapi` fills in what nobody chose."""
    image = Image.new("RGB", (64, 64))
    sent = webuiapi.ControlNetUnit(image=image, module="none", model="canny").to_dict()
    found = understood(sent, width=64)
    assert found.control == "canny:1 as map"
    assert told(found) == [("api.automatic.ignored", "[0].resize_mode")]
    made = webuiapi.ControlNetUnit(image=image, module="canny", model="canny").to_dict()
    assert [name for _, name in told(understood(made, width=64))] == [
        *("[0].resize_mode", "[0].processor_res", "[0].threshold_a", "[0].threshold_b")
    ]


def test_a_gated_one_is_named_only_as_it_was_sent() -> None:
    gated = ControlNetEntry(key="secret", name="Secret", path="org/file", nsfw=True)
    found = read(body({**UNIT, "model": "file"}), ControlNets({"secret": gated}))
    assert "secret" not in (found.control or "")


def test_every_module_has_a_type_that_is_known() -> None:
    for name in MODULES:
        [use] = used(understood({**UNIT, "module": name, "model": "union"}))
        assert use.type
