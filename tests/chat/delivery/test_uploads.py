"""Images within Discord's upload limit, at the best quality possible."""

import struct
from io import BytesIO

import piexif
import piexif.helper
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from bot.chat.delivery.uploads import REQUEST_MAX, Upload, _comment, _webp, fit, share
from bot.files.metadata import infotext, read_png
from tests.files.pngs import encode_png
from tests.parameters import mostly_long
from tests.store.factories import painting, recipe, request

UNDEFINED = 7
NOISE = painting(request(width=96, height=96)).images[0].image
SMOOTH = Image.linear_gradient("L").resize((256, 256)).convert("RGB")
RECIPE = recipe(request(prompt="ein Fuchs 🦊 im Schnee", width=96, height=96))


def png(image: Image.Image = NOISE) -> bytes:
    return encode_png(image, RECIPE, 42)


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def fitting(name: str, data: bytes, limit: int) -> Upload:
    upload = fit(name, data, limit)
    assert upload is not None
    assert len(upload.data) <= limit
    return upload


def test_what_fits_is_sent_as_it_is() -> None:
    data = png()
    assert fit("demo-42.png", data, len(data)) == Upload("demo-42.png", data)


def test_just_too_large_becomes_lossless_webp_with_the_same_pixels() -> None:
    data = png(SMOOTH)
    upload = fitting("demo-1.5-42.png", data, len(data) - 1)
    assert (upload.name, upload.shrunk) == ("demo-1.5-42.webp", "lossless WebP")
    image = opened(upload.data)
    assert image.format == "WEBP"
    assert image.convert("RGB").tobytes() == SMOOTH.tobytes()


@pytest.mark.parametrize(
    "share_of_png", mostly_long([0.02, 0.05, 0.1, 0.2, 0.4, 0.6], usual=[0.05, 0.4])
)
def test_otherwise_the_best_quality_that_fits(share_of_png: float) -> None:
    data = png()
    limit = int(len(data) * share_of_png)
    upload = fit("demo-42.png", data, limit)
    exif = _comment(infotext(RECIPE, 42))
    sizes = {quality: len(_webp(NOISE, exif, quality=quality)) for quality in range(1, 101)}
    if upload is None:
        assert sizes[1] > limit
        return
    assert upload.shrunk is not None
    quality = int(upload.shrunk.removeprefix("WebP "))
    assert sizes[quality] == len(upload.data) <= limit
    assert quality == 100 or sizes[quality + 1] > limit


def test_when_nothing_fits_there_is_none() -> None:
    assert fit("demo-42.png", png(), 200) is None
    assert fit("demo-42.png", png(), 0) is None


def test_a_shrunk_picture_still_says_how_it_was_painted() -> None:
    for limit in (len(png()) // 2, len(png(SMOOTH)) - 1):
        source = png() if limit == len(png()) // 2 else png(SMOOTH)
        upload = fitting("demo-42.png", source, limit)
        comment = (
            opened(upload.data).getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment]
        )
        assert comment.startswith(b"UNICODE\0")
        text = comment.removeprefix(b"UNICODE\0").decode("utf-16-be")
        assert text == read_png(source).parameters
        assert "🦊" in text


def test_other_programs_find_its_recipe() -> None:
    """AUTOMATIC1111 and Civitai's tools read it through piexif, which checks the type."""
    upload = fitting("demo-42.png", png(), len(png()) // 2)
    loaded = piexif.load(opened(upload.data).info["exif"])
    comment = loaded["Exif"][piexif.ExifIFD.UserComment]
    assert piexif.helper.UserComment.load(comment) == read_png(png()).parameters
    tag, kind, count = struct.unpack(">HHI", _comment("x")[34:42])
    assert (tag, kind, count) == (ExifTags.Base.UserComment, UNDEFINED, len(b"UNICODE\0\0x"))


def test_the_web_ui_reads_what_it_would_read_from_the_png() -> None:
    """The steps of AUTOMATIC1111's `images.read_info_from_image`, with whole Unicode."""
    for source in (png(), png(SMOOTH)):
        items = dict(opened(fitting("demo-42.png", source, len(source) - 1).data).info)
        parameters = items.pop("parameters", None)
        comment = piexif.load(items["exif"])["Exif"].get(piexif.ExifIFD.UserComment, b"")
        try:
            comment = piexif.helper.UserComment.load(comment)
        except ValueError:
            comment = comment.decode("utf8", errors="ignore")
        assert (comment or parameters) == read_png(source).parameters


@given(
    sizes=st.lists(st.integers(0, 20_000_000), min_size=1, max_size=4),
    limit=st.integers(1, 500_000_000),
)
def test_the_shares_never_exceed_what_one_message_takes(sizes: list[int], limit: int) -> None:
    each = share(sizes, limit)
    assert each <= limit
    assert sum(min(size, each) for size in sizes) <= REQUEST_MAX
