"""Input images: checked, re-encoded, and kept for as long as a job refers to them.

Input images are untrusted. Only three of Pillow's decoders are tried, the size in the header is
checked before any pixel is decoded, and the image is re-encoded before it is stored, which drops
metadata (including where it was taken) and anything appended. See bot.files.decoding.
"""

import asyncio
import hashlib
import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from bot.errors import InvalidRequest
from bot.files.atomic import write_whole
from bot.files.decoding import USUAL, AllBlack, MaskReading, TooLarge, mask_png, plain_png
from catalog.disk import status_of

BYTES_MAX: Final = 20 * 1024 * 1024
PIXELS_MAX: Final = 16_000_000
CONTENT_TYPES: Final = ("image/png", "image/jpeg", "image/webp")
SCANS_MAX: Final = 100
"""Scans of a JPEG. 10 are usual for a progressive one. At about 36 bytes each, half a million fit
into one file and keep the decoder busy for half an hour."""
DECODING_MAX: Final = 4
MASK: Final = "mask"
"""The field whose image says which part of another is changed."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_STORED: Final = re.compile(r"[0-9a-f]{64}\.png(\.part)?")


def picture_path(folder: Path, sha256: str) -> Path:
    """The file of an input image in `folder`. Raises ValueError if `sha256` is not one."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"not a sha256: {sha256!r}; allowed are 64 digits 0-9, a-f")
    return folder / f"{sha256}.png"


@dataclass(frozen=True, slots=True)
class StoredInput:
    """A file in the folder. given_at: when it was last given, in milliseconds since the epoch."""

    name: str
    bytes: int
    given_at: int

    @property
    def sha256(self) -> str:
        return self.name.partition(".")[0]


class Inputs:
    """The stored input images: `<sha256 of the file>.png` in `folder`, upright, in RGB; masks are
    grey."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Several at a time, so that one large picture does not hold up the others, and not more,
        # because decoding each may take 150 MB.
        self._decoding = asyncio.Semaphore(DECODING_MAX)
        self._busy = asyncio.Lock()
        self._held: Counter[str] = Counter()

    async def keep(self, data: bytes, field: str = "image", *, hold: bool = False) -> str:
        """Check an image file and store it re-encoded; returns the sha256 of the stored file.

        field: the request's field, for errors; MASK is stored as a mask. hold: whether it is not to
        be dropped before `let_go` was called as often as it was held.
        Raises InvalidRequest if the file is too large, of an unsupported format, or damaged.
        """
        check_file(field, size=len(data))
        async with self._decoding:
            png = await asyncio.to_thread(checked_png, data, field)
        async with self._busy:
            sha256 = await asyncio.to_thread(self._keep, png)
            if hold:
                self._held[sha256] += 1
        return sha256

    def let_go(self, sha256: str) -> None:
        """Undo one `hold`."""
        self._held[sha256] -= 1
        if self._held[sha256] <= 0:
            del self._held[sha256]

    def path(self, sha256: str) -> Path:
        """The file of a stored image; see `picture_path`."""
        return picture_path(self._folder, sha256)

    def read(self, sha256: str) -> bytes:
        """The stored file. Raises OSError if there is none, ValueError as `picture_path`."""
        return self.path(sha256).read_bytes()

    async def size(self, sha256: str) -> tuple[int, int]:
        """Width and height of a stored image. Raises as `read`."""
        return await asyncio.to_thread(_size, self.path(sha256))

    async def is_mask(self, sha256: str) -> bool:
        """Whether a stored image was kept as a mask. Raises as `read`."""
        return await asyncio.to_thread(_is_grey, self.path(sha256))

    async def stored(self) -> list[StoredInput]:
        """All stored images, and what a crash left of others."""
        return await asyncio.to_thread(self._stored)

    async def drop(self, name: str, until: int) -> bool:
        """Delete the file `name` of `stored`, unless the image is held or was given after `until`.

        until: milliseconds since the epoch. Returns whether it was deleted. Raises OSError.
        """
        async with self._busy:  # `keep` may be about to make it younger
            if name.partition(".")[0] in self._held:
                return False
            return await asyncio.to_thread(self._drop, name, until)

    def _keep(self, png: bytes) -> str:
        sha256 = hashlib.sha256(png).hexdigest()
        path = self.path(sha256)
        self._folder.mkdir(parents=True, exist_ok=True)
        if status_of(path):
            os.utime(path)  # as new, for `drop`
        else:
            write_whole(path, png)
        return sha256

    def _stored(self) -> list[StoredInput]:
        if status_of(self._folder) is None:
            return []
        with os.scandir(self._folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
        return [
            StoredInput(name, status.st_size, status.st_mtime_ns // 1_000_000)
            for name, status in found
            if _STORED.fullmatch(name)
        ]

    def _drop(self, name: str, until: int) -> bool:
        file = self._folder / name
        try:
            young = file.stat().st_mtime_ns // 1_000_000 > until
        except FileNotFoundError:
            return False
        if not young:
            file.unlink()
        return not young


def check_file(
    field: str,
    *,
    size: int,
    content_type: str | None = None,
    width: int | None = None,
    height: int | None = None,
) -> None:
    """Raise InvalidRequest if a file's properties, known before fetching or decoding, are bad.

    size: bytes. content_type: as Discord reports it. None means unknown.
    """
    if size > BYTES_MAX:
        megabytes = size / 1024**2
        raise InvalidRequest(field, "picture.bytes", value=megabytes, max=BYTES_MAX // 1024**2)
    if content_type is not None and content_type not in CONTENT_TYPES:
        raise InvalidRequest(field, "picture.format")
    if (pixels := (width or 0) * (height or 0)) > PIXELS_MAX:
        megapixels = pixels / 1e6
        raise InvalidRequest(field, "picture.pixels", value=megapixels, max=PIXELS_MAX // 10**6)


def checked_png(data: bytes, field: str, reading: MaskReading = USUAL) -> bytes:
    """An untrusted image file as a plain PNG, or as that of a mask for the field MASK.

    reading: of a mask. Raises InvalidRequest. Blocks.
    """
    check_file(field, size=len(data))
    as_png = partial(mask_png, reading=reading) if field == MASK else plain_png
    try:
        return as_png(data, pixels_max=PIXELS_MAX, scans_max=SCANS_MAX)
    except TooLarge as error:
        check_file(field, size=len(data), width=error.width, height=error.height)
        raise
    except AllBlack:
        raise InvalidRequest(field, "mask.black") from None
    except UnidentifiedImageError:
        raise InvalidRequest(field, "picture.format") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        bomb = f"> {(Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f}"
        raise InvalidRequest(field, "picture.pixels", value=bomb, max=PIXELS_MAX // 10**6) from None
    except Exception as error:
        # Decoders raise all kinds of exceptions on damaged files.
        raise InvalidRequest(field, "picture.broken") from error


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path, formats=("PNG",)) as image:
        return image.size


def _is_grey(path: Path) -> bool:
    """Whether it is a mask: all other images are kept in RGB."""
    with Image.open(path, formats=("PNG",)) as image:
        return image.mode == "L"
