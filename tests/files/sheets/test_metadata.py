"""What a sheet's file says can be read back, and nothing wrong in it gets through."""

import json
from typing import Any

import PIL.Image
import pytest

from bot.files.image_info import read_info
from bot.files.metadata import compress_png, read_png, with_texts
from bot.files.sheets.metadata import SHEET, describe_sheet, read_sheet
from bot.recipe import Recipe
from bot.request import GenerationRequest
from bot.request.dialects.infotext import parse_infotext
from tests.files.pngs import encode_png
from tests.request.test_compare import compared
from tests.store.factories import recipe, record

REQUEST = compared("a fox", ("steps", "10, 20"), ("lora", "off, ink"), lora="glow")
PNG = compress_png(PIL.Image.new("RGB", (64, 48)))


def of_first(request: GenerationRequest = REQUEST) -> Recipe:
    return recipe(request.each[0])


def said(**changes: Any) -> dict[str, Any]:
    data = {"job": "abc", "request": REQUEST.to_dict(), "pixels_sha256": ["f" * 64] * 4}
    return {**json.loads(json.dumps(data)), **changes}


def test_it_is_read_back() -> None:
    images = {n: record(n, pixels_sha256=f"{n}" * 64) for n in (0, 1, 3)}
    data = describe_sheet(PNG, "abcdefghjk", REQUEST, of_first(), images)
    found = read_sheet(data)
    assert found is not None
    assert (found.job_id, found.request) == ("abcdefghjk", REQUEST)
    assert found.pixels_sha256 == ("0" * 64, "1" * 64, None, "3" * 64)


def test_image_info_says_what_varies() -> None:
    data = describe_sheet(PNG, "abc", REQUEST, of_first(), {})
    info = read_info(data)
    assert info is not None
    assert (info.prompt, info.steps) == (REQUEST.prompt, 10)
    assert info.rest["Compared steps"] == "10, 20"
    assert info.rest["Compared lora"] == "off, ink"


def test_other_programs_read_the_first_image() -> None:
    data = describe_sheet(PNG, "abc", REQUEST, of_first(), {})
    told = parse_infotext(read_png(data).parameters or "")
    assert told.prompt.startswith("a fox")
    assert (told.settings["Steps"], told.settings["Seed"]) == ("10", "1234")


def test_other_pngs_are_no_sheets() -> None:
    assert read_sheet(PNG) is None
    assert read_sheet(encode_png(PIL.Image.new("RGB", (8, 8)), of_first(), 1234)) is None
    with pytest.raises(ValueError, match="not a PNG"):
        read_sheet(b"GIF89a")


def wrong() -> list[Any]:
    request = said()["request"]
    cells = request["comparison"]["cells"]
    return [
        5,
        [],
        said(job=5),
        said(request=None),
        said(request={**request, "comparison": None}),
        said(request={**request, "prompt": 7}),
        said(request={**request, "guidance": float("inf")}),
        said(request={**request, "comparison": {**request["comparison"], "cells": cells[:3]}}),
        said(request={**request, "comparison": {**request["comparison"], "axes": []}}),
        said(request={**request, "comparison": {"axes": request["comparison"]["axes"]}}),
        said(pixels_sha256=["x"] * 3),
        said(pixels_sha256=[1] * 4),
        said(request={**request, "seed": "1"}),
        said(request={**request, "seed": -1}),
    ]


@pytest.mark.parametrize("data", wrong())
def test_what_is_no_comparison_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="is not a comparison"):
        read_sheet(with_texts(PNG, "", {SHEET: data}))


def test_an_image_does_not_claim_to_be_a_whole_comparison() -> None:
    data = encode_png(PIL.Image.new("RGB", (8, 8)), recipe(REQUEST), 1234)
    with pytest.raises(ValueError, match="recipe"):
        read_png(data)
