"""Enlarging by resampling: sizes as AUTOMATIC1111 has them, and what is refused."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops

from bot.api.automatic.bodies import Extras
from bot.api.automatic.resampling import UPSCALERS, enlarged, listed_upscalers, mask_of, stretched
from bot.errors import InvalidRequest


def png(width: int = 30, height: int = 20) -> bytes:
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def made(width: int = 30, height: int = 20, **fields: Any) -> Image.Image:
    asked = Extras(**{"upscaler_1": "Lanczos", **fields})
    return opened(enlarged(png(width, height), asked))


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        made(**fields)
    return caught.value


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (56, 40)),  # multiples of 8
        ({"upscaling_resize": 4}, (120, 80)),
        ({"upscaling_resize": 0.001}, (8, 8)),
        ({"upscaler_1": "None"}, (30, 20)),
        ({"resize_mode": 1}, (512, 512)),
        ({"resize_mode": 1, "upscaling_resize_w": 100, "upscaling_resize_h": 50}, (100, 50)),
        (
            {
                "resize_mode": 1,
                "upscaling_resize_w": 120,
                "upscaling_resize_h": 40,
                "upscaling_crop": False,
            },
            (120, 80),
        ),
    ],
)
def test_sizes(fields: dict[str, Any], size: tuple[int, int]) -> None:
    assert made(**fields).size == size


def test_the_upscalers_differ_and_can_be_mixed() -> None:
    soft, hard = made(upscaler_1="Lanczos"), made(upscaler_1="Nearest")
    mixed = made(upscaler_2="Nearest", extras_upscaler_2_visibility=0.5)
    assert ImageChops.difference(soft, hard).getbbox()
    assert mixed.tobytes() == Image.blend(soft, hard, 0.5).tobytes()
    assert made(upscaler_2="Nearest").tobytes() == soft.tobytes()
    assert [item["name"] for item in listed_upscalers()] == [*UPSCALERS]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"upscaler_1": "R-ESRGAN 4x+"}, "upscaler_1"),
        ({"upscaler_2": "LDSR", "extras_upscaler_2_visibility": 0.5}, "upscaler_2"),
        ({"gfpgan_visibility": 1}, "gfpgan_visibility"),
        ({"codeformer_visibility": 0.1}, "codeformer_visibility"),
        ({"upscaling_resize": 1000}, "upscaling_resize"),
        ({"upscaling_resize": 1e308}, "upscaling_resize"),
        (
            {"resize_mode": 1, "upscaling_resize_w": 10**9},
            "upscaling_resize_w, upscaling_resize_h",
        ),
    ],
)
def test_what_is_refused(fields: dict[str, Any], field: str) -> None:
    assert refused(**fields).field == field


def test_a_file_that_is_no_image_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        enlarged(b"GIF89a", Extras(upscaler_1="Lanczos"))


def test_stretching() -> None:
    assert opened(stretched(png(), (64, 64))).size == (64, 64)
    same = opened(stretched(png(64, 64), (64, 64)))
    assert same.tobytes() == opened(png(64, 64)).tobytes()
    with pytest.raises(InvalidRequest):
        stretched(png(), (9_000, 9_000))


def halves(mode: str, left: Any, right: Any) -> bytes:
    image = Image.new(mode, (32, 16), right)
    image.paste(left, (0, 0, 16, 16))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class TestMasks:
    """What `create_binary_mask` makes of them there."""

    @pytest.mark.parametrize(
        "data",
        [
            halves("RGB", "white", "black"),
            halves("RGBA", (0, 0, 0, 255), (255, 255, 255, 0)),
            halves("RGBA", "white", "black"),  # opaque everywhere: how bright it is
        ],
    )
    def test_what_is_white_or_else_opaque_is_painted(self, data: bytes) -> None:
        for inverted, left in ((False, 255), (True, 0)):
            mask = opened(mask_of(data, None, inverted=inverted, rounded=True))
            assert (mask.mode, mask.size) == ("L", (32, 16))
            assert [mask.getpixel((x, 5)) for x in (2, 29)] == [left, 255 - left]

    def test_it_is_stretched_as_its_image_is(self) -> None:
        mask = opened(mask_of(halves("L", 255, 0), (64, 64), inverted=False, rounded=True))
        assert (mask.size, mask.getpixel((5, 5)), mask.getpixel((60, 60))) == ((64, 64), 255, 0)

    def test_stretching_changes_nothing_beyond_the_edge(self) -> None:
        mask = opened(mask_of(halves("L", 255, 0), (320, 160), inverted=False, rounded=False))
        levels = list(mask.crop((0, 80, 320, 81)).tobytes())
        assert levels == sorted(levels, reverse=True), "it rings"
        assert (set(levels[:155]), set(levels[165:])) == ({255}, {0})

    @pytest.mark.parametrize("mode", ["L", "RGBA"])
    def test_grey_is_rounded_unless_it_is_to_stay(self, mode: str) -> None:
        for level, white in ((127, 0), (128, 255)):
            grey = (0, 0, 0, level) if mode == "RGBA" else level
            opaque = (0, 0, 0, 255) if mode == "RGBA" else 255
            data = halves(mode, grey, opaque)
            rounded = opened(mask_of(data, None, inverted=False, rounded=True))
            assert [rounded.getpixel((x, 5)) for x in (2, 29)] == [white, 255]
            kept = opened(mask_of(data, None, inverted=False, rounded=False))
            assert [kept.getpixel((x, 5)) for x in (2, 29)] == [level, 255]

    def test_stretching_leaves_no_grey_where_it_is_rounded(self) -> None:
        mask = opened(mask_of(halves("L", 255, 0), (320, 160), inverted=False, rounded=True))
        assert mask.histogram()[1:255] == [0] * 254
        assert mask.getbbox() == (0, 0, 160, 160)

    def test_one_that_rounding_makes_black_is_refused_in_words_of_its_own(self) -> None:
        with pytest.raises(InvalidRequest) as caught:
            mask_of(halves("L", 100, 0), None, inverted=False, rounded=True)
        assert (caught.value.field, caught.value.code) == ("mask", "api.automatic.rounded")

    @pytest.mark.parametrize(("colour", "inverted"), [(0, False), (255, True)])
    def test_one_that_keeps_everything_is_refused(self, colour: int, inverted: bool) -> None:
        data = halves("L", colour, colour)
        with pytest.raises(InvalidRequest) as caught:
            mask_of(data, None, inverted=inverted, rounded=True)
        assert caught.value.code == "mask.black"
        mask = opened(mask_of(data, None, inverted=not inverted, rounded=True))
        assert mask.getextrema() == (255, 255)

    def test_one_that_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(InvalidRequest) as caught:
            mask_of(b"nothing", None, inverted=False, rounded=True)
        assert caught.value.field == "mask"
