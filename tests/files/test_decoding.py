"""Input images look as their makers saw them, and no file takes longer than its pixels need."""

import asyncio
import io
import logging
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageOps

from bot.errors import InvalidRequest
from bot.files import decoding, jpeg
from bot.files.colour import PROFILE_MAX
from bot.files.decoding import CHUNKS_MAX
from bot.files.inputs import SCANS_MAX, Inputs
from bot.files.jpeg import SEGMENTS_MAX
from tests.files import profiles
from tests.files.profiles import Triple
from tests.files.test_inputs import BLUE, RED, close, file, kept, refusal, two_halves
from tests.test_linear import grows_too_much


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(depth: int, colours: int, samples: bytes, *others: bytes, width: int = 2) -> bytes:
    """A PNG of one row."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colours, 0, 0, 0)
    data = zlib.compress(b"\0" + samples)
    parts = (chunk(b"IHDR", header), *others, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PALETTE = chunk(b"PLTE", bytes(RED + BLUE))


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def behind_start(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def in_srgb(colour: tuple[int, int, int], primaries: tuple[Triple, Triple, Triple]) -> Any:
    """By the formulas: through CIE XYZ, both relative to D50."""
    light = [(value / 255) ** profiles.GAMMA for value in colour]
    xyz = [sum(light[n] * primaries[n][axis] for n in range(3)) for axis in range(3)]
    inverse = (
        (3.1338561, -1.6168667, -0.4906146),
        (-0.9787684, 1.9161415, 0.0334540),
        (0.0719453, -0.2289914, 1.4052427),
    )
    linear = [min(1.0, max(0.0, sum(map(float.__mul__, row, xyz)))) for row in inverse]
    return tuple(
        round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055))
        for v in linear
    )


class TestProfiles:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    @pytest.mark.parametrize("primaries", [profiles.P3, profiles.ADOBE_RGB])
    async def test_a_wider_gamut_keeps_its_colours(
        self, inputs: Inputs, kind: str, primaries: tuple[Triple, Triple, Triple]
    ) -> None:
        colour = (180, 90, 60)
        options: dict[str, Any] = {"quality": 100} if kind != "PNG" else {}
        if kind == "WEBP":
            options["lossless"] = True
        data = file(
            Image.new("RGB", (16, 16), colour), kind, icc_profile=profiles.rgb(primaries), **options
        )
        found = (await kept(inputs, data)).getpixel((8, 8))
        wanted = in_srgb(colour, primaries)
        assert max(abs(a - b) for a, b in zip(wanted, colour, strict=True)) > 6
        assert isinstance(found, tuple)
        assert all(abs(a - b) <= 3 for a, b in zip(found, wanted, strict=True)), (found, wanted)

    async def test_a_large_profile_costs_nothing(self, inputs: Inputs) -> None:
        """Pillow allows a PNG one of 1 MiB; tables for printers and cameras may have more."""
        icc = profiles.rgb(profiles.P3) + bytes(2 * 1024 * 1024)
        found = await kept(inputs, file(Image.new("RGB", (8, 8), (180, 90, 60)), icc_profile=icc))
        assert found.getpixel((4, 4)) != (180, 90, 60)
        bomb = profiles.rgb(profiles.P3) + bytes(60 * 1024 * 1024)
        found = await kept(inputs, file(two_halves(), icc_profile=bomb))
        assert found.getpixel((2, 8)) == RED

    async def test_a_profile_that_does_not_inflate_is_ignored(self, inputs: Inputs) -> None:
        data = file(two_halves())
        assert (
            await kept(inputs, data[:33] + chunk(b"iCCP", b"a\0\0nonsense") + data[33:])
        ).getpixel((2, 8)) == RED

    async def test_srgb_itself_changes_no_byte(self, inputs: Inputs) -> None:
        noise = Image.merge("RGB", [Image.effect_noise((256, 256), 120) for _ in range(3)])
        plain = await inputs.keep(file(noise))
        grey = Image.effect_noise((64, 64), 90)
        plain_grey = await inputs.keep(file(grey))
        made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        for icc in (made, profiles.srgb()):
            for mode in ("RGB", "RGBA"):
                assert await inputs.keep(file(noise.convert(mode), icc_profile=icc)) == plain
            assert await inputs.keep(file(grey, icc_profile=icc)) == plain_grey

    @pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
    async def test_a_grey_profile(self, inputs: Inputs, mode: str) -> None:
        image = Image.new("I;16", (8, 8), 128 * 257) if mode == "I;16" else None
        image = image or Image.new("L", (8, 8), 128).convert(mode)
        data = file(image, icc_profile=profiles.grey(1.0))
        found = (await kept(inputs, data)).getpixel((4, 4))
        assert close(found, (188, 188, 188))  # half the light

    async def test_a_printers_profile(self, inputs: Inputs) -> None:
        image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        data = file(image, "JPEG", icc_profile=profiles.cmyk((50, 0, 0)), quality=100)
        assert close((await kept(inputs, data)).getpixel((8, 8)), (119, 119, 119))
        without = (await kept(inputs, file(image, "JPEG", quality=100))).getpixel((8, 8))
        assert close(without, (255, 0, 0))

    async def test_a_palette_and_transparency(self, inputs: Inputs) -> None:
        icc = profiles.rgb(profiles.P3)
        image = Image.new("RGBA", (8, 8), (180, 90, 60, 255))
        image.paste((180, 90, 60, 0), (0, 0, 4, 8))
        for mode in ("RGBA", "P"):
            given = image if mode == "RGBA" else image.quantize(4)
            found = await kept(inputs, file(given, icc_profile=icc))
            assert found.getpixel((1, 1)) == (255, 255, 255)
            colour = found.getpixel((6, 6))
            assert isinstance(colour, tuple)
            wanted = in_srgb((180, 90, 60), profiles.P3)
            assert all(abs(a - b) <= 4 for a, b in zip(colour, wanted, strict=True))

    @pytest.mark.parametrize(
        "icc",
        [
            b"",
            b"not a profile",
            profiles.rgb(profiles.P3)[:200],
            profiles.grey(1.0),
            profiles.cmyk((50, 0, 0)),
            profiles.rgb(profiles.P3) + bytes(PROFILE_MAX),
            profiles.rgb(profiles.P3).replace(b"mntr", b"link"),
            profiles.rgb(profiles.P3) + b"mpet",
        ],
        ids=range(8),
    )
    async def test_one_that_cannot_be_used_is_ignored_and_logged(
        self, inputs: Inputs, icc: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.files.colour")
        kind = "JPEG" if len(icc) > PROFILE_MAX else "PNG"
        options = {"quality": 100} if kind == "JPEG" else {}
        found = await kept(inputs, file(two_halves(), kind, icc_profile=icc, **options))
        assert close(found.getpixel((2, 8)), RED)
        assert bool(caplog.records) == bool(icc)
        assert all("profile is ignored" in record.message for record in caplog.records)


class TestSamples:
    @pytest.mark.parametrize(
        ("data", "left", "right"),
        [
            (png(16, 0, b"\x80\x00\xff\xff"), (128,) * 3, (255,) * 3),
            (png(16, 2, b"\x80\x00\x40\x00\x20\x00" * 2), (128, 64, 32), (128, 64, 32)),
            (png(16, 4, b"\x80\x00\xff\xff\x80\x00\x00\x00"), (128,) * 3, (255,) * 3),
            (png(16, 6, (b"\x80\x00" * 3 + b"\xff\xff") + bytes(8)), (128,) * 3, (255,) * 3),
            (png(16, 0, b"\x80\x00\x20\x00", chunk(b"tRNS", b"\x20\x00")), (128,) * 3, (255,) * 3),
            (
                png(16, 2, b"\x80\x00" * 3 + b"\x20\x00" * 3, chunk(b"tRNS", b"\x20\x00" * 3)),
                (128,) * 3,
                (255,) * 3,
            ),
            (png(8, 0, b"\x80\x20", chunk(b"tRNS", b"\x00\x20")), (128,) * 3, (255,) * 3),
            (png(4, 0, b"\x82", chunk(b"tRNS", b"\x00\x02")), (136,) * 3, (255,) * 3),
            (png(2, 0, b"\x90", chunk(b"tRNS", b"\x00\x01")), (170,) * 3, (255,) * 3),
            (png(1, 0, b"\x40", chunk(b"tRNS", b"\x00\x00")), (255,) * 3, (255,) * 3),
            (png(1, 0, b"\x40", chunk(b"tRNS", b"\x00\x01")), (0,) * 3, (255,) * 3),
            (png(8, 3, b"\x00\x01", PALETTE, chunk(b"tRNS", b"\xff\x00")), RED, (255,) * 3),
            (png(8, 3, b"\x00\x01", PALETTE), RED, BLUE),
        ],
        ids=range(13),
    )
    async def test_every_depth_and_what_is_transparent_in_it(
        self, inputs: Inputs, data: bytes, left: Any, right: Any
    ) -> None:
        image = await kept(inputs, data)
        assert image.getpixel((0, 0)) == left
        assert image.getpixel((1, 0)) == right

    async def test_strips_are_seamless(
        self, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        noise = [Image.effect_noise((61, 47), 90) for _ in range(4)]
        for mode, icc in (("RGBA", b""), ("RGBA", profiles.rgb(profiles.P3)), ("P", b"")):
            image = Image.merge("RGBA", noise)
            data = file(image.quantize(16) if mode == "P" else image, icc_profile=icc)
            whole = await inputs.keep(data)
            with monkeypatch.context() as patched:
                patched.setattr(decoding, "STRIP_PIXELS", 300)
                assert await inputs.keep(data) == whole


class TestUpright:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
    @pytest.mark.parametrize("turned", range(10))
    @pytest.mark.parametrize("order", ["<", ">"])
    async def test_as_the_camera_was_held(
        self, inputs: Inputs, kind: str, turned: int, order: str
    ) -> None:
        image = two_halves()
        image.paste((0, 200, 0), (0, 0, 8, 8))
        start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
        entry = struct.pack(f"{order}HHHIHHI", 1, 0x0112, 3, 1, turned, 0, 0)
        options: dict[str, Any] = {"quality": 100} if kind == "JPEG" else {}
        if kind == "WEBP":
            options["lossless"] = True
        found = await kept(inputs, file(image, kind, exif=b"Exif\0\0" + start + entry, **options))
        exif = Image.Exif()
        exif[0x0112] = turned
        image.info["exif"] = exif.tobytes()
        image.getexif()[0x0112] = turned
        wanted = ImageOps.exif_transpose(image)
        assert found.size == wanted.size
        for place in ((1, 1), (found.width - 2, 1), (1, found.height - 2)):
            assert close(found.getpixel(place), wanted.getpixel(place)), place  # type: ignore[arg-type]

    async def test_what_xmp_says(self, inputs: Inputs) -> None:
        xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
        for kind in ("JPEG", "WEBP"):
            assert (await kept(inputs, file(two_halves(), kind, xmp=xmp))).size == (16, 32)

    @pytest.mark.parametrize(
        "exif",
        [
            b"",
            b"II*\0",
            b"MM\0*\xff\xff\xff\xff",
            b"II*\0\x08\0\0\0\xff\xff",
            b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06",
            b"nonsense" * 9,
        ],
    )
    async def test_broken_exif_costs_nothing(self, inputs: Inputs, exif: bytes) -> None:
        data = behind_start(file(two_halves(), "JPEG"), segment(0xE1, b"Exif\0\0" + exif))
        image = await kept(inputs, data)
        assert image.size in {(32, 16), (16, 32)}


def progressive(scans: int) -> bytes:
    """A JPEG of so many scans."""
    data = file(two_halves((256, 256)), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + data[-2:]


class TestBounds:
    @pytest.fixture
    def never_decoded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def decoded(*_: Any, **__: Any) -> None:
            raise AssertionError("it was opened")

        monkeypatch.setattr("PIL.Image.open", decoded)

    @pytest.mark.usefixtures("never_decoded")
    async def test_a_phones_picture_of_endless_scans_is_refused(self, inputs: Inputs) -> None:
        """With the header of several pictures in one file, Pillow opens it with another plugin."""
        buffer = io.BytesIO()
        two_halves().save(buffer, "MPO", save_all=True, append_images=[two_halves()])
        appended = buffer.getvalue()
        header = appended[appended.index(b"\xff\xe2") :]
        header = header[: 2 + int.from_bytes(header[2:4], "big")]
        assert b"MPF\0" in header
        with pytest.raises(InvalidRequest) as refused:
            await inputs.keep(behind_start(progressive(SCANS_MAX + 1), header))
        assert refused.value.code == "picture.broken"
        assert isinstance(refused.value.__cause__, ValueError)
        assert "scans" in str(refused.value.__cause__)

    @pytest.mark.usefixtures("never_decoded")
    @pytest.mark.parametrize(
        "data",
        [
            behind_start(file(two_halves(), "JPEG"), segment(0xFE, b"") * (SEGMENTS_MAX + 1)),
            behind_start(file(two_halves(), "JPEG"), b"\xff\xd0" * (SEGMENTS_MAX + 1)),
            png(8, 0, b"ab", chunk(b"teSt", b"") * CHUNKS_MAX),
        ],
        ids=["segments", "markers", "chunks"],
    )
    async def test_endless_parts_are_not_read(self, inputs: Inputs, data: bytes) -> None:
        with pytest.raises(InvalidRequest) as refused:
            await inputs.keep(data)
        assert "more than" in str(refused.value.__cause__)

    async def test_scans_of_a_large_picture_are_fewer(
        self, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decoding, "SCANNED_MAX", 256 * 256 * 20)
        await kept(inputs, progressive(20))
        assert (await refusal(inputs, progressive(21)))[0] == "picture.broken"

    @pytest.mark.parametrize("fill", [b"\xff", b"\x00", b"\xff\x00", b"\xff\xd0", b"ab\xff\x00"])
    @pytest.mark.parametrize("size", range(1, 9))
    async def test_a_marker_is_found_wherever_it_is(
        self, monkeypatch: pytest.MonkeyPatch, fill: bytes, size: int
    ) -> None:
        data = file(two_halves(), "JPEG")
        scan = data.index(b"\xff\xda")
        filled = data[:-2] + fill * 9 + data[-2:] + b"appended"
        whole = jpeg.walk(filled, 9)
        monkeypatch.setattr(jpeg, "WINDOW", size + 1)
        assert jpeg.walk(filled, 9) == whole
        assert whole.scans == 1
        assert whole.data.endswith(data[scan:-2] + fill * 9 + b"\xff\xd9")

    async def test_a_film_of_endless_frames_is_refused(self, inputs: Inputs) -> None:
        frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
        film = file(frames[0], "WEBP", save_all=True, append_images=frames[1:])
        start = film.index(b"ANMF")
        bomb = film + film[start:] * decoding.FRAMES_MAX
        bomb = bomb[:4] + struct.pack("<I", len(bomb) - 8) + bomb[8:]
        with pytest.raises(InvalidRequest) as refused:
            await inputs.keep(bomb)
        assert "frames" in str(refused.value.__cause__)
        assert close((await kept(inputs, film)).getpixel((0, 0)), RED)

    async def test_scans_of_other_pictures_in_the_file_do_not_count(self, inputs: Inputs) -> None:
        """The film in a motion photo has any bytes; so has a preview, or a gain map for HDR."""
        film = b"\xff\xda" * 5_000
        preview = segment(0xE1, b"Exif\0\0" + film)
        for data in (progressive(12) + film, behind_start(progressive(12), preview)):
            assert close((await kept(inputs, data)).getpixel((2, 8)), RED)

    async def test_of_several_pictures_the_first_is_kept(self, inputs: Inputs) -> None:
        buffer = io.BytesIO()
        others = [Image.new("RGB", (64, 64), "green")]
        two_halves().save(buffer, "MPO", save_all=True, append_images=others, quality=95)
        image = await kept(inputs, buffer.getvalue())
        assert image.size == (32, 16)
        assert close(image.getpixel((2, 8)), RED)

    async def test_exif_is_never_read_as_a_whole(
        self, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Any number of its entries may be the same megabytes."""

        def loaded(*_: Any) -> None:
            raise AssertionError("Exif was loaded")

        monkeypatch.setattr("PIL.Image.Exif.load", loaded)
        exif = Image.Exif()
        exif[0x0112] = 6
        for kind in ("JPEG", "PNG", "WEBP"):
            data = file(two_halves(), kind)
            with monkeypatch.context() as undone:
                undone.undo()
                data = file(two_halves(), kind, exif=exif.tobytes())
            assert (await kept(inputs, data)).size == (16, 32)

    async def test_a_slow_one_does_not_hold_up_the_others(
        self, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on = threading.Event()

        def slow(data: bytes, **bounds: int) -> bytes:
            if data == b"slow":
                go_on.wait(30)
            return decoding.plain_png(data, **bounds)

        monkeypatch.setattr("bot.files.inputs.plain_png", slow)
        waiting = asyncio.create_task(inputs.keep(b"slow"))
        try:
            await asyncio.wait_for(inputs.keep(file(two_halves())), 20)
            assert not waiting.done()
        finally:
            go_on.set()
        with pytest.raises(InvalidRequest):
            await waiting


async def test_a_transparent_bomb_is_refused(inputs: Inputs) -> None:
    code, _ = await refusal(inputs, png(8, 6, bytes(4), width=20_000_000))
    assert code == "picture.pixels"


def test_profiles_are_taken_out_in_time_in_proportion_to_the_file() -> None:
    def make(count: int) -> str:
        empty = chunk(b"iCCP", b"x\0\0") * count
        return png(8, 2, bytes(6), empty, chunk(b"prVt", bytes(200 * count))).decode("latin-1")

    def read(text: str) -> object:
        return decoding._taken_apart(text.encode("latin-1"))

    assert not grows_too_much(read, make)


@pytest.mark.parametrize("kind", [b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"acTL", b"tIME"])
async def test_damage_to_what_its_pixels_do_not_need_does_not_matter(
    inputs: Inputs, kind: bytes
) -> None:
    sound = png(8, 2, bytes(RED + BLUE))
    damaged = png(8, 2, bytes(RED + BLUE), chunk(kind, b"")[:-1] + b"?") + bytes(1_000_000)
    assert await inputs.keep(damaged) == await inputs.keep(sound)
