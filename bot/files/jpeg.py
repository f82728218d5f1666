"""The segments of a JPEG file, walked before any decoder sees it.

What Pillow would do with them is not bounded: it reads every Exif entry (40,000 of them may share
half a megabyte), and opens a phone's pictures, which have further images appended, with another
plugin.
"""

import re
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\xff\xd8\xff"
SEGMENTS_MAX: Final = 10_000

WINDOW: Final = 1024 * 1024
"""Bytes searched in one call, which blocks all other threads."""

_MARKER: Final = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a segment: TEM, the restarts, and the start of an image."""
_END: Final = 0xD9
_SCAN: Final = 0xDA
_EXIF: Final = b"Exif\0\0"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_NEEDED: Final = (b"\xff\xe0", b"\xff\xee")
"""JFIF's and Adobe's own segments, which tell how the colours are stored."""
_PROFILE: Final = b"ICC_PROFILE\0"


class Endless(ValueError):
    """The file has more scans or segments than any picture needs."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A file without what its decoder does not need.

    scans: of the image. exif, xmp: the first of each, or empty.
    """

    data: bytes
    scans: int
    exif: bytes
    xmp: bytes


def walk(data: bytes, scans_max: int) -> Jpeg:
    """Take the first image of a JPEG file apart. Raises Endless."""
    kept = [data[:2]]
    exif = xmp = b""
    at, scans, segments = 2, 0, 0
    while (marker := _search(_MARKER, data, at)) and marker[1][0] != _END:
        segments += 1
        start, body = marker.end() - 2, marker.end() + 2
        if segments > SEGMENTS_MAX:
            raise Endless(f"more than {SEGMENTS_MAX} segments")
        if marker[1][0] in _ALONE:
            at = marker.end()
            continue
        at = marker.end() + max(2, int.from_bytes(data[marker.end() : body], "big"))
        content = data[body:at]
        if marker[1][0] == _SCAN:
            scans += 1
            if scans > scans_max:
                raise Endless(f"more than {scans_max} scans")
            following = _search(_AFTER_SCAN, data, at)
            at = following.start() if following else len(data)
        elif content.startswith(_EXIF):
            exif = exif or content.removeprefix(_EXIF)
        elif content.startswith(_XMP):
            xmp = xmp or content.removeprefix(_XMP)
        if _is_needed(data[start : start + 2], content):
            kept.append(data[start:at])
    if marker:
        kept.append(b"\xff\xd9")
    return Jpeg(b"".join(kept), scans, exif, xmp)


def _search(pattern: re.Pattern[bytes], data: bytes, at: int) -> re.Match[bytes] | None:
    while at < len(data):
        if found := pattern.search(data, at, at + WINDOW):
            return found
        at += WINDOW - 1  # the marker may begin with the last byte
    return None


def _is_needed(marker: bytes, content: bytes) -> bool:
    extra = 0xE0 <= marker[1] <= 0xEF or marker[1] == 0xFE  # a comment
    return not extra or marker in _NEEDED or content.startswith(_PROFILE)
