"""The texts that an image file carries, by keyword, without decoding its pixels."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from bot.errors import InvalidRequest
from bot.files import jpeg
from bot.files.decoding import CHUNKS_MAX
from bot.files.image_info.exif import TEXT_MAX, exif_texts
from bot.files.inputs import SCANS_MAX

PNG: Final = b"\x89PNG\r\n\x1a\n"
KEYWORDS: Final = frozenset(
    {
        *("imagen", "imagen-sheet", "parameters", "fooocus_scheme", "prompt", "workflow"),
        *("invokeai_metadata", "sd-metadata", "Dream"),
        *("Title", "Description", "Software", "Source", "Comment"),
    }
)
"""Of the texts in a PNG that a reader here knows; others are not even unpacked."""

_RAW_EXIF: Final = "Raw profile type exif"
_PREFIXED: Final = ("prompt", "workflow", "parameters")
"""What ComfyUI puts before the texts that it has no tag of its own for."""
_WEBP_CHUNKS_MAX: Final = 10_000


def is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def texts_of(data: bytes, field: str) -> Mapping[str, str]:
    """The texts of a PNG, JPEG or WebP; the first of each keyword counts.

    Of a damaged file, as much as can be read. A UserComment is also found as `parameters`.
    Raises InvalidRequest for `field` if it is none of these formats, or a text that matters is
    too long.
    """
    if data.startswith(PNG):
        texts = _png_texts(data, field)
    elif data.startswith(jpeg.SIGNATURE):
        try:
            texts = _from_exif(jpeg.walk(data, SCANS_MAX).exif)
        except jpeg.Endless as error:
            raise InvalidRequest(field, "picture.broken") from error
    elif is_webp(data):
        texts = _from_exif(_webp_exif(data))
    else:
        raise InvalidRequest(field, "picture.format")
    return texts


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk of a PNG, up to CHUNKS_MAX."""
    at = len(PNG)
    for _ in range(CHUNKS_MAX):
        if at + 8 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _png_texts(data: bytes, field: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    exif = b""
    for kind, body in chunks(data):
        if kind == b"IEND":
            break
        if kind == b"eXIf":
            exif = exif or body
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            raw, _, packed = body.partition(b"\0")
            keyword = raw.decode("latin-1")
            if keyword in texts or keyword not in {*KEYWORDS, _RAW_EXIF}:
                continue
            if (text := _unpacked(kind, packed, keyword, field)) is not None:
                texts[keyword] = text
    raw_exif = _from_hex(texts.pop(_RAW_EXIF, ""))
    return {**_from_exif(exif or raw_exif), **texts}


def _unpacked(kind: bytes, packed: bytes, keyword: str, field: str) -> str | None:
    """None if it cannot be unpacked."""
    if kind == b"iTXt":
        compressed, packed = packed[:1] == b"\1", packed[2:].split(b"\0", 2)[-1]
    else:
        compressed = kind == b"zTXt"
        packed = packed[1:] if compressed else packed
    if compressed:
        try:
            packed = zlib.decompressobj().decompress(packed, TEXT_MAX + 1)
        except zlib.error:
            return None
    if len(packed) > TEXT_MAX:
        raise InvalidRequest(field, "info.text", name=keyword, max=TEXT_MAX // 1024**2)
    return decoded(packed)


def decoded(data: bytes) -> str:
    """UTF-8, which many programs write where the format says Latin-1, or else that."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _from_exif(exif: bytes) -> dict[str, str]:
    found = exif_texts(exif)
    texts = dict(found)
    for value in found.values():
        for keyword in _PREFIXED:
            if value.startswith(f"{keyword}:"):
                texts.setdefault(keyword, value.removeprefix(f"{keyword}:"))
    if comment := found.get("UserComment"):
        texts.setdefault("parameters", comment)
    return texts


def _from_hex(text: str) -> bytes:
    """Exif as ImageMagick writes it into a PNG: hex digits after three lines."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""


def _webp_exif(data: bytes) -> bytes:
    at = 12
    for _ in range(_WEBP_CHUNKS_MAX):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"EXIF":
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
        if at + 8 > len(data):
            break
    return b""
