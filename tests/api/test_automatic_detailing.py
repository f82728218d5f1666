"""ADetailer's units, as its clients send them."""

from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError

from bot.api.automatic.bodies import Txt2Img
from bot.api.automatic.detailing import Details, understood
from bot.api.automatic.translating import translate
from bot.errors import InvalidRequest
from catalog import ModelEntry

FACE = {"ad_model": "face_yolov8n.pt"}
ADDRESS = "alwayson_scripts.ADetailer.args"


def details(*args: Any, script: str = "ADetailer") -> Details:
    return understood(Txt2Img(alwayson_scripts={script: {"args": [*args]}}))


@pytest.mark.parametrize(
    ("args", "typed"),
    [
        ([FACE], "face"),
        ([True, False, FACE], "face"),
        (
            [FACE | {"ad_denoising_strength": 0.3}, {"ad_model": "hand_yolov8n.pt"}],
            "face:0.3, hand",
        ),
        ([{"ad_model": "mediapipe_face_mesh_eyes_only"}], "eyes"),
        ([False, False, FACE], None),
        ([{"ad_model": "None"}], None),
        ([FACE | {"ad_tab_enable": False}], None),
        ([], None),
    ],
)
def test_units_are_words(args: list[Any], typed: str | None) -> None:
    found = details(*args)
    assert (found.detail, found.warnings) == (typed, ())


def test_defaults_that_clients_send_are_no_matter() -> None:
    usual = {
        "ad_prompt": "",
        "ad_confidence": 0.3,
        "ad_mask_blur": 4,
        "ad_inpaint_only_masked": True,
        "ad_inpaint_only_masked_padding": 32,
        "ad_use_steps": False,
        "ad_steps": 28,
        "ad_controlnet_model": "None",
    }
    assert details(FACE | usual) == Details("face")


def test_what_is_done_otherwise_is_named() -> None:
    found = details(True, True, FACE | {"ad_prompt": "freckles", "ad_confidence": 0.6, "x": 1})
    assert [(each.code, dict(each.params)) for each in found.warnings] == [
        ("api.automatic.ignored", {"field": f"{ADDRESS}[1]"}),
        ("api.automatic.ignored", {"field": f"{ADDRESS}[2].ad_prompt"}),
        ("api.automatic.ignored", {"field": f"{ADDRESS}[2].ad_confidence"}),
        ("api.field.unknown", {"field": f"{ADDRESS}[2].x"}),
    ]


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        details({"ad_model": "deepfashion2_yolov8s-seg.pt"})
    assert (refused.value.field, refused.value.code) == (
        f"{ADDRESS}[0].ad_model",
        "api.automatic.detector",
    )
    with pytest.raises(RequestValidationError) as invalid:
        details(FACE | {"ad_denoising_strength": "much"})
    assert invalid.value.errors()[0]["loc"] == ("body", f"{ADDRESS}[0]", "ad_denoising_strength")


def test_the_script_is_no_other_that_is_left_out() -> None:
    model = ModelEntry(key="base", name="Base", path="org/base")
    body = Txt2Img(alwayson_scripts={"adetailer": {"args": [FACE]}})
    assert translate(body, model).warnings == ()
    assert details(FACE, script="adetailer").detail == "face"
