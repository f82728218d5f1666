"""Input images: stored plainly, or refused in one sentence, whatever the file contains."""

import contextlib
import hashlib
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.errors import InvalidRequest
from bot.files.inputs import BYTES_MAX, SCANS_MAX, Inputs, check_file
from tests.parameters import examples

RED, BLUE = (200, 10, 20), (10, 20, 200)


def two_halves(size: tuple[int, int] = (32, 16)) -> Image.Image:
    """The left half red, the right half blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and contains nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


async def kept(inputs: Inputs, data: bytes) -> Image.Image:
    sha256 = await inputs.keep(data)
    path = inputs.path(sha256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    with Image.open(path) as image:
        image.load()
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert await inputs.size(sha256) == image.size
    assert inputs.read(sha256) == path.read_bytes()
    return image


async def refusal(inputs: Inputs, data: bytes) -> tuple[str, dict[str, Any]]:
    with pytest.raises(InvalidRequest) as refused:
        await inputs.keep(data, "reference")
    assert refused.value.field == "reference"
    return refused.value.code, refused.value.params


def close(found: Any, wanted: tuple[int, int, int]) -> bool:
    return all(abs(a - b) <= 12 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_the_three_formats_are_kept_as_they_look(inputs: Inputs, kind: str) -> None:
    image = await kept(inputs, file(two_halves(), kind))
    assert image.size == (32, 16)
    assert close(image.getpixel((2, 8)), RED)
    assert close(image.getpixel((29, 8)), BLUE)


async def test_the_same_picture_is_kept_once(inputs: Inputs, tmp_path: Path) -> None:
    extra = PngInfo()
    extra.add_text("where", "52.52, 13.40")
    one = await inputs.keep(file(two_halves()))
    two = await inputs.keep(file(two_halves(), pnginfo=extra))
    assert one == two
    assert [f.name for f in (tmp_path / "inputs").iterdir()] == [f"{one}.png"]


async def test_nothing_but_the_pixels_is_kept(inputs: Inputs) -> None:
    exif = Image.Exif()
    exif[0x010E] = "canary in the description"
    extra = PngInfo()
    extra.add_text("parameters", "canary prompt")
    data = file(two_halves(), pnginfo=extra, exif=exif, icc_profile=b"canary profile")
    sha256 = await inputs.keep(data + b"canary appended")
    written = inputs.path(sha256).read_bytes()
    assert b"canary" in data
    assert b"canary" not in written
    assert [written[12:16], written.count(b"IDAT")] == [b"IHDR", 1]
    with Image.open(inputs.path(sha256)) as image:
        assert image.info == {}


async def test_it_is_turned_upright(inputs: Inputs) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: display rotated by 90° clockwise
    image = await kept(inputs, file(two_halves(), "JPEG", exif=exif, quality=95))
    assert image.size == (16, 32)
    assert close(image.getpixel((8, 2)), RED)
    assert close(image.getpixel((8, 29)), BLUE)


async def test_of_a_moving_picture_the_first_frame_is_kept(inputs: Inputs) -> None:
    for kind in ("PNG", "WEBP"):
        frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
        data = file(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
        assert close((await kept(inputs, data)).getpixel((8, 8)), RED)


async def test_what_is_transparent_becomes_white(inputs: Inputs) -> None:
    for mode in ("RGBA", "LA", "P"):
        image = Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode)
        options: dict[str, Any] = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
        assert (await kept(inputs, file(image, **options))).getpixel((4, 4)) == (255, 255, 255)


async def test_every_other_mode_becomes_rgb(inputs: Inputs) -> None:
    assert (await kept(inputs, file(Image.new("I;16", (8, 8), 128 * 256)))).getpixel((4, 4)) == (
        (128, 128, 128)
    )
    assert (await kept(inputs, file(Image.new("1", (8, 8), 1)))).getpixel((4, 4)) == (255,) * 3
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert close((await kept(inputs, file(cmyk, "JPEG"))).getpixel((4, 4)), (255, 0, 0))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
async def test_other_formats_are_refused(inputs: Inputs, kind: str) -> None:
    assert await refusal(inputs, file(two_halves(), kind)) == (
        "picture.format",
        {"field": "reference"},
    )


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
async def test_what_is_no_picture_is_refused(inputs: Inputs, data: bytes) -> None:
    assert (await refusal(inputs, data))[0] in {"picture.format", "picture.broken"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_cut_off_file_is_refused(inputs: Inputs, kind: str) -> None:
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    data = file(noise, kind)
    assert (await refusal(inputs, data[: len(data) // 2]))[0] == "picture.broken"


@pytest.mark.parametrize(
    ("width", "height", "value"),
    [(4001, 4000, 16.004), (9000, 9000, 81.0), (12000, 12000, "> 89"), (60000, 60000, "> 89")],
)
async def test_a_bomb_is_refused_by_its_header(
    inputs: Inputs, width: int, height: int, value: str | float
) -> None:
    code, params = await refusal(inputs, png_header(width, height))
    assert (code, params["value"], params["max"]) == ("picture.pixels", value, 16)


@pytest.mark.long
async def test_the_largest_picture_is_kept(inputs: Inputs) -> None:
    assert (await kept(inputs, file(Image.new("RGB", (4000, 4000), RED)))).size == (4000, 4000)


async def test_a_picture_of_any_shape_is_kept(inputs: Inputs) -> None:
    for size in ((20_000, 1), (1, 20_000), (20_000, 40)):
        assert (await kept(inputs, file(Image.new("RGB", size, RED)))).size == size
    assert (await refusal(inputs, png_header(20_000, 1_000)))[0] == "picture.pixels"
    assert (await refusal(inputs, png_header(0, 20_000)))[0] in {"picture.format", "picture.broken"}


async def test_a_jpeg_of_endless_passes_is_refused(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = file(two_halves((256, 256)), "JPEG", progressive=True)
    start = data.rfind(b"\xff\xda")
    last = data[start:-2]
    assert data.count(b"\xff\xda") < SCANS_MAX
    await kept(inputs, data)

    def decoded(_: Image.Image) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    bomb = data[:-2] + last * SCANS_MAX + data[-2:]
    assert (await refusal(inputs, bomb))[0] == "picture.broken"


@pytest.mark.long
@pytest.mark.parametrize("keyword", ["workflow", "XML:com.adobe.xmp", "Raw profile type exif"])
async def test_texts_of_any_length_are_not_read(inputs: Inputs, keyword: str) -> None:
    """Nor are they a reason to refuse it: ComfyUI writes its graph into each image."""
    extra = PngInfo()
    extra.add_text(keyword, "a" * 80_000_000, zip=True)
    extra.add_itxt(keyword, "a" * 80_000_000, zip=True)
    assert (await kept(inputs, file(two_halves(), pnginfo=extra))).size == (32, 16)


async def test_a_heavy_file_is_refused_before_it_is_opened(inputs: Inputs) -> None:
    code, params = await refusal(inputs, b"\0" * (BYTES_MAX + 1024 * 1024))
    assert (code, params["value"], params["max"]) == ("picture.bytes", 21.0, 20)


class TestWhatDiscordSays:
    def test_sound(self) -> None:
        check_file("image", size=BYTES_MAX, content_type="image/png", width=4000, height=4000)
        check_file("image", size=5)

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ({"size": BYTES_MAX + 1}, "picture.bytes"),
            ({"content_type": "image/gif"}, "picture.format"),
            ({"content_type": "text/plain; charset=utf-8"}, "picture.format"),
            ({"width": 16_001, "height": 1_000}, "picture.pixels"),
        ],
    )
    def test_refused(self, said: dict[str, Any], code: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            check_file("image", **{"size": 5, **said})
        assert (refused.value.field, refused.value.code) == ("image", code)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 10_000),
)
async def test_whatever_the_file_holds_it_is_kept_or_refused(
    inputs: Inputs, kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(file(two_halves(), kind))
    for position, value in changes:
        data[position % len(data)] = value
    with contextlib.suppress(InvalidRequest):
        await kept(inputs, bytes(data[: cut or None]))


@pytest.mark.parametrize(
    "sha256", ["", "a" * 63, "a" * 65, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n", "٣" * 64]
)
def test_only_a_sha256_is_a_path(inputs: Inputs, sha256: str) -> None:
    with pytest.raises(ValueError, match="64 digits"):
        inputs.path(sha256)
    with pytest.raises(ValueError, match="64 digits"):
        inputs.read(sha256)
