"""The texts in Exif, wherever programs put them.

AUTOMATIC1111 writes a UserComment in UTF-16 of one byte order, SwarmUI's ImageSharp in the other,
Fooocus one in plain UTF-8 into the first directory, and ComfyUI its graphs into Make and Model.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

TEXT_MAX: Final = 4 * 1024 * 1024
"""Bytes of one text; a large workflow of ComfyUI has a few hundred kilobytes."""

TAGS: Final = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x927C: "MakerNote",
    0x9286: "UserComment",
}
_EXIF_DIRECTORY: Final = 0x8769
_ENTRIES_MAX: Final = 1_000
_ENTRY: Final = 12
_INLINE: Final = 4
_LONG: Final = 4
_ONE_BYTE: Final = (1, 2, 7)
"""Types of values whose parts have one byte: BYTE, ASCII and UNDEFINED."""

_Order: TypeAlias = Literal["little", "big"]
_ORDERS: Final[dict[bytes, _Order]] = {b"II*\0": "little", b"MM\0*": "big"}
_UTF_16: Final[dict[_Order, str]] = {"little": "utf-16-le", "big": "utf-16-be"}


def exif_texts(exif: bytes) -> dict[str, str]:
    """The texts of TAGS by name, the first of each. Of damaged Exif, as much as can be read.

    exif: with or without `Exif` before its header.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = _ORDERS.get(exif[:4])
    found: dict[str, str] = {}
    if order is None:
        return found
    first = int.from_bytes(exif[4:8], order)
    pending, seen = [first], {first}
    while pending:
        for tag, value in _entries(exif, pending.pop(0), order):
            if tag == _EXIF_DIRECTORY and len(seen) == 1:
                inner = int.from_bytes(value[:_INLINE], order)
                pending += [] if inner in seen else [inner]
                seen.add(inner)
            elif (name := TAGS.get(tag)) and name not in found and (text := _text(value, order)):
                found[name] = text
    return found


def _entries(exif: bytes, at: int, order: _Order) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each entry whose value is bytes or a directory."""

    def number(place: int, length: int) -> int:
        return int.from_bytes(exif[place : place + length], order)

    for n in range(min(number(at, 2), _ENTRIES_MAX)):
        entry = at + 2 + n * _ENTRY
        tag, kind, count = number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)
        if tag == _EXIF_DIRECTORY and kind == _LONG:
            yield tag, exif[entry + 8 : entry + _ENTRY]
        elif tag in TAGS and kind in _ONE_BYTE and count <= TEXT_MAX:
            start = entry + 8 if count <= _INLINE else number(entry + 8, 4)
            yield tag, exif[start : start + count]


def _text(value: bytes, order: _Order) -> str:
    code, body = value[:8], value[8:]
    if code == b"UNICODE\0":
        return body.decode(_byte_order(body, order), "replace").strip("\0")
    if code in (b"ASCII\0\0\0", b"\0" * 8):
        value = body
    return value.decode("utf-8", "replace").strip("\0")


def _byte_order(body: bytes, order: _Order) -> str:
    """Which UTF-16 it is: the standard leaves it open, and both orders are found in both headers.

    In most texts, most characters are Latin, whose upper byte is zero.
    """
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    upper_first, lower_first = body[:4096:2].count(0), body[1:4096:2].count(0)
    if upper_first != lower_first:
        return "utf-16-be" if upper_first > lower_first else "utf-16-le"
    return _UTF_16[order]
