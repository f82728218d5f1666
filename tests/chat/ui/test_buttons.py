"""Buttons below jobs, and the custom_ids of all components, past ones included."""

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.ui.buttons import CancelId, RetryId, cancel_view, failed_view
from bot.chat.ui.custom_id import CustomId, Routed
from bot.request import AdapterUse, ControlUse, DetailUse, Hires, Upscale
from bot.store import Failure
from catalog.families.sdxl import SDXL
from cogs.wildcards import WildcardsPageId
from tests.chat.ui.test_messages import job
from tests.language import TEXTS
from tests.store.factories import request

SAY = TEXTS.speaker()


class Shape(StrEnum):
    SQUARE = "square"


@dataclass(frozen=True)
class ShapeId(CustomId):
    prefix: ClassVar[str] = "shape"

    shape: Shape
    number: int
    name: str


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("cancel:abc234", CancelId("abc234")),
        ("lighter:abc234", RetryId("abc234")),
        ("wildcards:2:", WildcardsPageId(2)),
        ("wildcards:-1:", WildcardsPageId(-1)),
        ("wildcards:12:demo-1.5_x", WildcardsPageId(12, "demo-1.5_x")),
        ("shape:square:-7:a b", ShapeId(Shape.SQUARE, -7, "a b")),
    ],
)
def test_ids_on_messages_of_any_age_are_read_and_written(text: str, means: CustomId) -> None:
    assert str(means) == text
    parsed = type(means).parse(text)
    assert parsed == means
    assert type(parsed) is type(means)


@pytest.mark.parametrize(
    "text",
    [
        *("", "shape", "shape:square:1", "shape:square:1:a:b"),
        *("shape:round:1:a", "shape:square::a", "shape::1:a"),
        *("shape:square:01:a", "shape:square:1_0:a", "shape:square: 1:a", "shape:square:١:a"),
        *("other:square:1:a", "shape:square:1:" + "a" * 86, "shape:square:" + "9" * 5000 + ":a"),
    ],
)
def test_what_str_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ShapeId.parse(text)


@given(st.text() | st.text(alphabet="shapequr:-019", max_size=120))
def test_no_text_raises_anything_else(text: str) -> None:
    for ids in (ShapeId, CancelId, WildcardsPageId):
        with suppress(ValueError):
            assert str(ids.parse(text)) == text


@pytest.mark.parametrize("job_id", ["a:b", "a" * 94])
def test_what_could_not_be_read_back_is_not_written(job_id: str) -> None:
    with pytest.raises(ValueError, match="100 characters"):
        str(CancelId(job_id))


def buttons_of(view: discord.ui.View | None) -> list[discord.ui.Button[Any]]:
    assert view is not None
    assert view.timeout is None
    routed = [each for each in view.children if isinstance(each, Routed)]
    assert len(routed) == len(view.children)
    return [each.item for each in routed if isinstance(each.item, discord.ui.Button)]


EDGES = ControlUse("canny", "a" * 64, "canny")
INK = (AdapterUse("ink", 0.6),)


async def test_the_cancel_button_names_its_job() -> None:
    [button] = buttons_of(cancel_view(SAY, "abc234"))
    assert (button.label, button.custom_id) == ("Cancel", "cancel:abc234")
    assert button.style is discord.ButtonStyle.secondary


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        ({"hires": Hires(scale=2.0, strength=0.5, steps=10)}, "Try without the second pass"),
        ({"detail": (DetailUse("face"),)}, "Try without repainting details"),
        ({"width": 1536, "height": 1024}, "Try at 1216×832"),
        ({"pictures": ("a", "b", "c")}, "Try with 2 images"),
        ({"pictures": ("a", "b")}, "Try with 1 image"),
        ({"controls": (EDGES, EDGES), "adapters": INK}, "Try with 1 ControlNet"),
        ({"controls": (EDGES,), "adapters": INK}, "Try without ControlNets"),
        ({"adapters": INK}, "Try without LoRAs"),
    ],
)
async def test_the_retry_button_says_what_is_left_out(fields: dict[str, Any], label: str) -> None:
    failed = job(request(**fields), id="abc234", error=Failure("memory.out", {}))
    retry, edit = buttons_of(failed_view(SAY, failed, SDXL))
    assert (retry.label, retry.custom_id) == (label, "lighter:abc234")
    assert retry.style is discord.ButtonStyle.primary
    assert (edit.label, edit.custom_id) == ("Edit", "edit:abc234")


@pytest.mark.parametrize(
    ("fields", "error", "ways"),
    [
        ({}, Failure("job.timeout", {"seconds": 600}), ["anew:abc234", "edit:abc234"]),
        ({}, Failure("memory.out", {}), ["edit:abc234"]),  # as it is, it would fail again
        (
            {"upscale": Upscale("a", "u", 2.0, "crisp")},
            Failure("job.timeout", {"seconds": 600}),
            ["anew:abc234"],
        ),
    ],
)
async def test_a_job_that_failed_offers_ways_on(
    fields: dict[str, Any], error: Failure, ways: list[str]
) -> None:
    failed = job(request(adapters=(), **fields), id="abc234", error=error)
    assert [each.custom_id for each in buttons_of(failed_view(SAY, failed, SDXL))] == ways


@pytest.mark.parametrize("error", [None, Failure("job.unreadable", {})])
async def test_what_was_cancelled_or_is_not_known_any_more_offers_none(
    error: Failure | None,
) -> None:
    assert failed_view(SAY, job(request(adapters=()), error=error), SDXL) is None
