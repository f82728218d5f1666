"""GenerationRequest: how it is stored, and what is derived from it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.request import (
    AYS,
    AdapterUse,
    Axis,
    Comparison,
    EmbeddingUse,
    GenerationRequest,
    Hires,
    InitImage,
    Reference,
)

PLAIN = GenerationRequest(
    prompt="a fox",
    negative="",
    model="sdxl-base",
    adapters=(AdapterUse("ember", 0.75),),
    trigger_words=("glow",),
    steps=30,
    guidance=7.5,
    seed=42,
    width=832,
    height=1216,
    scheduler="DPM++ 2M Karras",
)
FULL = replace(
    PLAIN,
    adapters=(AdapterUse("ember", 0.75, 0.5),),
    preset="draft",
    spacing=AYS,
    hires=Hires(1.5, 0.4, 30),
    init_image=InitImage("a" * 64, 0.6),
    reference=Reference("b" * 64, 0.8),
    kernels="eager",
    environment="0123456789ab",
    embeddings=(EmbeddingUse("hands", "embedding:Hands"),),
)
NEW = ("preset", "spacing", "hires", "init_image", "reference", "kernels")


@pytest.mark.parametrize("request_", [PLAIN, FULL])
def test_a_stored_request_is_read_back(request_: GenerationRequest) -> None:
    stored = json.dumps(request_.to_dict())
    assert GenerationRequest.from_dict(json.loads(stored)) == request_


def test_a_request_that_was_stored_before_the_new_fields_still_loads() -> None:
    stored: dict[str, Any] = json.loads(json.dumps(PLAIN.to_dict()))
    for name in NEW:
        del stored[name]
    del stored["adapters"][0]["text_weight"]
    assert GenerationRequest.from_dict(stored) == PLAIN


def test_what_changes_no_image_is_left_out() -> None:
    asked = replace(FULL, added=("blurry",))
    assert asked.bare() == replace(FULL, environment=None)
    assert "environment" not in PLAIN.to_dict()  # requests that repeat nothing are as ever


@pytest.mark.parametrize(("prompt", "escapes"), [("a fox", False), (r"a fox \(red\)", True)])
def test_how_escapes_are_read_is_left_out_where_there_are_none(prompt: str, escapes: bool) -> None:
    cell = replace(PLAIN, prompt=prompt, escapes=True, added=("blurry",), environment="0" * 16)
    sheet = replace(cell, comparison=Comparison((Axis("seed", ("1", "2")),), (cell, cell)))
    bare = sheet.bare()
    assert bare.comparison is not None
    for each in (cell.bare(), bare, *bare.comparison.cells):
        assert (each.escapes, each.added, each.environment) == (escapes, (), None)


@pytest.mark.parametrize(
    ("use", "shown"),
    [
        (AdapterUse("ember", 0.8), "ember:0.8"),
        (AdapterUse("ember", 0.8, 0.8), "ember:0.8"),
        (AdapterUse("ember", 0.8, 0.5), "ember:0.8:0.5"),
        (AdapterUse("ember", 1.0, 0.0), "ember:1:0"),
    ],
)
def test_an_adapter_is_shown_as_it_is_typed(use: AdapterUse, shown: str) -> None:
    assert str(use) == shown


def test_the_final_size_is_that_of_the_second_pass() -> None:
    assert PLAIN.final_size == (832, 1216)
    assert FULL.final_size == (1248, 1824)


@given(st.integers(8, 256), st.integers(8, 256), st.sampled_from([1.25, 1.5, 2.0]))
def test_the_final_sides_are_multiples_of_8(across: int, down: int, scale: float) -> None:
    request = replace(PLAIN, width=across * 8, height=down * 8, hires=Hires(scale, 0.4, 30))
    for side, base in zip(request.final_size, (across * 8, down * 8), strict=True):
        assert side % 8 == 0
        assert abs(side - base * scale) <= 4


def test_inputs_are_the_pictures_that_it_refers_to() -> None:
    assert PLAIN.inputs == ()
    assert FULL.inputs == ("a" * 64, "b" * 64)
