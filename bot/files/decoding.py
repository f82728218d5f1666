"""Decode an image that somebody gave, within bounds: upright, in sRGB, without metadata."""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from PIL import Image, ImageChops

from bot.files import jpeg
from bot.files.colour import PROFILE_MAX, Conversion, conversion
from bot.files.orientation import orientation, upright

FORMATS: Final = ("PNG", "JPEG", "WEBP")
CHUNKS_MAX: Final = 50_000
"""Of a PNG. Pillow takes microseconds for each; 20 MiB could hold 1.7 million."""
TEXT_MAX: Final = 1024 * 1024
"""Bytes of a text in a PNG that may tell the orientation; Pillow's own limit."""
FRAMES_MAX: Final = 5_000
"""Of an animated WebP. All are looked at before the first is decoded."""
SCANNED_MAX: Final = 400_000_000
"""Pixels of a JPEG times its scans: each scan goes over all of them."""
STRIP_PIXELS: Final = 1_000_000
"""Converted in one call: some of Pillow's block all other threads, 80 ms for a large picture."""

OPAQUE: Final = 255

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_WEBP_FRAME: Final = b"ANMF"
_END: Final = b"IEND"
_USED: Final = (b"tRNS", b"eXIf")
"""Chunks that a reader of PNG may ignore, but that this one uses."""
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_TURNING: Final = (b"XML:com.adobe.xmp", b"Raw profile type exif")
"""Keywords of the texts with XMP, and with Exif as ImageMagick writes it."""
_GREY_16: Final = "I;16"
_DEPTH_AT: Final = 24
_SCALES: Final = {1: 255.0, 2: 85.0, 4: 17.0, 8: 1.0, 16: 1 / 256}
"""Pillow scales the samples of a PNG to 8 bits, but not the sample that is transparent."""


Convert = Callable[[Image.Image, int, bytes], Image.Image]
"""Gets a decoded image, the bits per sample in its file, and its colour profile."""


class TooLarge(Exception):
    """The image has more pixels than allowed; width and height are those in its header."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"{width}×{height}")
        self.width, self.height = width, height


class AllBlack(Exception):
    """A mask that leaves nothing to change."""


@dataclass(frozen=True, slots=True)
class MaskReading:
    """What in the file of a mask says that something is changed.

    Where anything is transparent, that does and nothing else, whatever its colour: such an image
    had a part erased. If nothing is, its own brightness counts.
    opaque: whether it is the reverse that counts of transparency. inverted: whether the mask says
    what is kept.
    """

    opaque: bool = False
    inverted: bool = False


USUAL: Final = MaskReading()


def plain_png(data: bytes, *, pixels_max: int, scans_max: int) -> bytes:
    """The first frame of an image file as an RGB PNG: upright, on white if transparent, in sRGB.

    Raises TooLarge, UnidentifiedImageError if the file is of none of FORMATS, and, because decoders
    do, all kinds of exceptions if it is damaged.
    """
    return _as_png(_decoded(data, pixels_max, scans_max, _rgb))


def mask_png(
    data: bytes, *, pixels_max: int, scans_max: int, reading: MaskReading = USUAL
) -> bytes:
    """The first frame of an image file as a grey PNG, upright: a mask, white where something is
    changed. Raises as `plain_png`, and AllBlack."""
    mask = _decoded(data, pixels_max, scans_max, partial(_mask, opaque=reading.opaque))
    if reading.inverted:
        mask = ImageChops.invert(mask)
    if not mask.getbbox():
        raise AllBlack
    return _as_png(mask)


def _as_png(plain: Image.Image) -> bytes:
    plain.info = {}
    file = io.BytesIO()
    plain.save(file, "PNG")
    return file.getvalue()


def _decoded(data: bytes, pixels_max: int, scans_max: int, convert: Convert) -> Image.Image:
    exif = xmp = profile = b""
    scans = 1
    if data.startswith(jpeg.SIGNATURE):
        walked = jpeg.walk(data, scans_max)
        data, scans, exif, xmp = walked.data, walked.scans, walked.exif, walked.xmp
    elif data.startswith(_PNG):
        data, profile = _taken_apart(data)
    elif data.count(_WEBP_FRAME) > FRAMES_MAX:
        raise ValueError(f"more than {FRAMES_MAX} frames")
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > pixels_max:
            raise TooLarge(image.width, image.height)
        if image.width * image.height * scans > SCANNED_MAX:
            raise jpeg.Endless(f"{scans} scans of {image.width}×{image.height} pixels")
        image.load()
        depth = data[_DEPTH_AT] if image.format == "PNG" else 8
        turned = orientation(exif or _exif_of(image), xmp or _bytes(image.info.get("xmp")))
        profile = profile or _bytes(image.info.get("icc_profile"))
        return upright(convert(image, depth, profile), turned)


def _taken_apart(data: bytes) -> tuple[bytes, bytes]:
    """A PNG with only what its pixels and their orientation need, and its colour profile.

    Pillow rejects files for much of the rest: for texts and profiles that are long, as those of
    ComfyUI's graphs, and for damage where it does not matter.
    """
    kept, profile = [_PNG], b""
    at = len(_PNG)
    for _ in range(CHUNKS_MAX):
        if at + 8 > len(data):
            return b"".join((*kept, data[at:])), profile
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"iCCP":
            profile = profile or _inflated(data[at + 8 : end - 4].partition(b"\0")[2][1:])
        elif _is_needed(kind, data[at + 8 : max(at + 8, end - 4)]):
            kept.append(data[at:end])
        if kind == _END:
            return b"".join(kept), profile
        at = end
    raise ValueError(f"more than {CHUNKS_MAX} chunks")


def _is_needed(kind: bytes, body: bytes) -> bool:
    critical = kind[:1].isupper()
    return critical or kind in _USED or (kind in _TEXTS and _may_turn(kind, body))


def _may_turn(kind: bytes, text: bytes) -> bool:
    """Whether a text may tell the orientation, and is not too long for that."""
    keyword, _, rest = text.partition(b"\0")
    if keyword not in _TURNING or len(text) > TEXT_MAX:
        return False
    packed = rest[1:] if kind == b"zTXt" else rest.split(b"\0", 3)[-1]
    return kind == b"tEXt" or len(_inflated(packed, TEXT_MAX)) <= TEXT_MAX


def _inflated(data: bytes, most: int = PROFILE_MAX) -> bytes:
    """At most one byte more than `most` of it."""
    try:
        return zlib.decompressobj().decompress(data, most + 1)
    except zlib.error:
        return b"damaged"


def _exif_of(image: Image.Image) -> bytes:
    if exif := _bytes(image.info.get("exif")):
        return exif
    # As ImageMagick writes it into a PNG: hex digits after three lines.
    raw = image.info.get("Raw profile type exif")
    digits = "".join(raw.split("\n")[3:]) if isinstance(raw, str) else ""
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _rgb(image: Image.Image, depth: int, profile: bytes) -> Image.Image:
    """The image in RGB and sRGB, on white. depth: bits per sample in the file."""
    transparency = image.info.get("transparency")
    if depth != 8 and transparency is not None and image.mode != "P":
        scale = _SCALES[depth]
        many = isinstance(transparency, tuple)
        scaled = [int(value * scale) for value in (transparency if many else (transparency,))]
        image.info["transparency"] = tuple(scaled) if many else scaled[0]
    mode = {"L": "L", "LA": "L", "1": "L", _GREY_16: "L", "CMYK": "CMYK"}.get(image.mode, "RGB")
    convert = conversion(profile, mode) if profile else None
    plain = Image.new("RGB", image.size)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        plain.paste(_plain(strip, mode, convert), (0, top))
    return plain


def _mask(image: Image.Image, depth: int, profile: bytes, *, opaque: bool) -> Image.Image:
    """How white it is; or how transparent, if any of it is, or then how opaque."""
    if image.mode != _GREY_16 and image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if alpha.point(lambda value: value < OPAQUE).getbbox():
            return alpha if opaque else ImageChops.invert(alpha)
    return _rgb(image, depth, profile).convert("L")


def _plain(strip: Image.Image, mode: str, convert: Conversion | None) -> Image.Image:
    if strip.mode == _GREY_16:
        # Pillow would clip at 255 instead of scaling.
        strip = strip.point(lambda value: value / 256).convert("L")
    layer = strip.convert("RGBA") if strip.has_transparency_data else None
    if convert is None:
        coloured = strip
    elif layer is not None:
        coloured = convert(layer.convert(mode))
    else:
        coloured = convert(strip.convert(mode))
    if layer is None:
        return coloured.convert("RGB")
    if convert is not None:
        alpha = layer.getchannel("A")
        layer = coloured.convert("RGBA")
        layer.putalpha(alpha)
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")
