"""What /history says about two results."""

from dataclasses import fields, replace
from typing import Any

import pytest

from bot.chat.ui.history import pair_differences
from bot.request import (
    AdapterUse,
    Axis,
    Comparison,
    ControlUse,
    Describe,
    DetailUse,
    EmbeddingUse,
    Hires,
    InitImage,
    Reference,
    Template,
    Upscale,
    Variation,
)
from bot.request.parts import DrawnPrompts
from catalog import AdapterEntry, Catalog, ModelEntry
from tests.language import TEXTS
from tests.store.factories import REQUEST

SAY = TEXTS.speaker()
CATALOG = Catalog(
    {"other": ModelEntry(key="other", name="The other", path="a/b")},
    {"ink": AdapterEntry(key="ink", name="Ink wash", path="a/b")},
    "other",
)
OTHERS: dict[str, Any] = {
    "prompt": "another",
    "negative": "",
    "model": "other",
    "adapters": (AdapterUse("ink", 0.8),),
    "trigger_words": (),
    "steps": 11,
    "detail": (DetailUse("face"),),
    "pictures": ("d" * 64,),
    "controls": (ControlUse("canny", "a" * 64, "canny", 0.8),),
    "guidance": 5.0,
    "seed": 1,
    "width": 128,
    "height": 128,
    "count": 2,
    "scheduler": "DDIM",
    "clip_skip": 3,
    "tile": True,
    "preset": "draft",
    "spacing": "AYS",
    "hires": Hires(1.5, 0.5, 10),
    "init_image": InitImage("a" * 64, 0.5),
    "reference": Reference("a" * 64, 0.5),
    "embeddings": (EmbeddingUse("fine", "embedding:fine"),),
    "template": Template("{a|b}", None, 1),
    "others": (DrawnPrompts("b", ""),),
    "edits": True,
    "comparison": Comparison((Axis("steps", ("10",)),), (REQUEST,)),
    "variation": Variation(7, 0.2),
    "upscale": Upscale("a" * 64, "crisp", 2.0, "crisp"),
    "describe": Describe("a" * 64, "short"),
}

UNSEEN = ("kernels", "environment", "added", "escapes")
"""What makes no other image, or is part of the negative prompt."""


@pytest.mark.parametrize("name", [each.name for each in fields(REQUEST) if each.name not in UNSEEN])
def test_whatever_differs_is_said(name: str) -> None:
    other = replace(REQUEST, **{name: OTHERS[name]})
    assert pair_differences(SAY, REQUEST, other, CATALOG)


def test_a_variation_is_compared_with_the_seed_that_it_varies() -> None:
    one = replace(REQUEST, seed=12, variation=Variation(REQUEST.seed, 0.2))
    assert pair_differences(SAY, REQUEST, one, CATALOG) == ["**Variation**\nA: –\nB: 12:0.2"]
    other = replace(REQUEST, seed=13, variation=Variation(7, 0.2))
    assert pair_differences(SAY, one, other, CATALOG) == [
        f"**Seed**\nA: {REQUEST.seed}\nB: 7",
        "**Variation**\nA: 12:0.2\nB: 13:0.2",
    ]


def test_nothing_is_said_of_what_is_the_same() -> None:
    other = replace(REQUEST, kernels="eager", environment="f" * 12, added=("blurry",))
    assert pair_differences(SAY, REQUEST, other, CATALOG) == []


def test_escapes_that_are_read_otherwise_are_a_difference() -> None:
    other = replace(REQUEST, escapes=True)
    assert pair_differences(SAY, REQUEST, other, CATALOG) == []
    for texts in ({"prompt": r"\(a\)"}, {"negative": r"\["}, {"trigger_words": (r"\)",)}):
        one, two = (replace(each, **texts) for each in (REQUEST, other))
        assert pair_differences(SAY, one, two, CATALOG) == [SAY("history.differs_else")]


def test_models_and_loras_have_their_names() -> None:
    other = replace(REQUEST, model="other", adapters=(AdapterUse("ink", 0.8),))
    assert pair_differences(SAY, REQUEST, other, CATALOG) == [
        "**Model**\nA: demo\nB: The other",
        "**LoRAs**\nA: Ink wash:0.6\nB: Ink wash:0.8",
    ]


def test_what_controlnets_follow_is_a_difference_too() -> None:
    one, other = (
        replace(REQUEST, controls=(ControlUse("canny", digit * 64, "canny", 0.8),))
        for digit in "ab"
    )
    assert pair_differences(SAY, one, other, CATALOG) == [
        "**ControlNets**\nA: canny/canny:0.8 · aaaaaaaa\nB: canny/canny:0.8 · bbbbbbbb"
    ]
