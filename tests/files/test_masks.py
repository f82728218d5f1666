"""Masks: what is transparent, or white, is changed."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bot.errors import InvalidRequest
from bot.files.inputs import MASK, Inputs

SIZE = (32, 16)
HALF = (16, 0, 32, 16)
"""The right one."""


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def black_and_white(mode: str, black: Any = 0, white: Any = 255) -> Image.Image:
    image = Image.new(mode, SIZE, black)
    image.paste(white, HALF)
    return image


def erased(mode: str = "RGBA") -> Image.Image:
    """A picture, light on the left, of which the right half was erased."""
    image = Image.new("RGBA", SIZE, (250, 240, 230, 255))
    image.paste((10, 20, 30, 0), HALF)
    return image.convert(mode)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


async def kept(inputs: Inputs, data: bytes) -> Image.Image:
    sha256 = await inputs.keep(data, MASK)
    with Image.open(inputs.path(sha256)) as image:
        image.load()
    assert (image.format, image.mode) == ("PNG", "L")
    return image


@pytest.mark.parametrize(
    "data",
    [
        file(black_and_white("L")),
        file(black_and_white("1", 0, 1)),
        file(black_and_white("RGB", "black", "white")),
        file(black_and_white("RGBA", "black", "white")),
        file(erased()),
        file(erased("LA")),
        file(erased(), "WEBP", lossless=True),
        file(black_and_white("RGB", "black", "white"), "JPEG", quality=100),
        file(black_and_white("I;16", 0, 65535)),
    ],
    ids=["grey", "1 bit", "RGB", "opaque", "erased", "grey erased", "WebP", "JPEG", "16 bits"],
)
async def test_the_half_that_is_white_or_transparent_is_white(inputs: Inputs, data: bytes) -> None:
    mask = await kept(inputs, data)
    assert mask.size == SIZE
    levels = np.asarray(mask)
    assert levels[:, :14].max() <= 2
    assert levels[:, 18:].min() >= 253


async def test_what_is_half_transparent_is_half_changed(inputs: Inputs) -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 255))
    image.paste((255, 255, 255, 155), HALF)
    mask = await kept(inputs, file(image))
    assert set(np.unique(np.asarray(mask)).tolist()) == {0, 100}


async def test_it_is_turned_upright_like_its_image(inputs: Inputs) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    mask = await kept(inputs, file(black_and_white("L"), exif=exif))
    assert mask.size == SIZE[::-1]
    assert mask.getpixel((8, 4)) == 0
    assert mask.getpixel((8, 28)) == 255


@pytest.mark.parametrize("image", [Image.new("L", SIZE), Image.new("RGBA", SIZE, "black")])
async def test_one_that_changes_nothing_is_refused(inputs: Inputs, image: Image.Image) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await inputs.keep(file(image), MASK)
    assert (refused.value.field, refused.value.code) == (MASK, "mask.black")


async def test_what_is_no_image_is_refused_as_ever(inputs: Inputs) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await inputs.keep(b"no image", MASK)
    assert (refused.value.field, refused.value.code) == (MASK, "picture.format")
