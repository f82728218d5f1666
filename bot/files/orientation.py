"""Turn a picture upright, as its camera says it was held (Exif tag 274)."""

import re
from typing import Final, Literal

from PIL import Image

_TAG: Final = 0x0112
_ENTRIES_MAX: Final = 1_000
_ENTRY: Final = 12
_SHORT: Final = 3
_ORDERS: Final[dict[bytes, Literal["little", "big"]]] = {b"II*\0": "little", b"MM\0*": "big"}
_IN_XMP: Final = re.compile(rb"tiff:Orientation(?:=[\"']|>)([1-8])")
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """From 1 (upright) to 8, as Exif counts; 1 if neither says, or says something else.

    exif: from the TIFF header on. Of a damaged one, as much as can be read counts.
    """
    found = _of_exif(exif.removeprefix(b"Exif\0\0"))
    if found is None and (match := _IN_XMP.search(xmp)):
        found = int(match[1])
    return found if found in _TURNS else 1


def upright(image: Image.Image, turned: int) -> Image.Image:
    """`image`, turned back from an `orientation`."""
    return image.transpose(_TURNS[turned]) if turned in _TURNS else image


def _of_exif(exif: bytes) -> int | None:
    order = _ORDERS.get(exif[:4])
    if order is None:
        return None

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)

    first = number(4, 4)
    for n in range(min(number(first, 2), _ENTRIES_MAX)):
        at = first + 2 + n * _ENTRY
        if number(at, 2) == _TAG:
            return number(at + 8, 2 if number(at + 2, 2) == _SHORT else 4)
    return None
