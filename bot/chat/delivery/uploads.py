"""Uploads: images as attachments, within Discord's size limits."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePath
from typing import TypeGuard

from PIL import ExifTags, Image

from bot.files.metadata import read_png
from bot.store import ImageRecord
from bot.texts.language import Say
from catalog.disk import is_absent

REQUEST_MAX = 25 * 1024 * 1024
"""Bytes of all files in one message (Discord docs, resources/message, "Create Message")."""
QUALITIES = range(1, 101)

_HEADER_BYTES = 8
_DIRECTORY_BYTES = 18
_LONG, _UNDEFINED = 4, 7
"""Types of values in Exif (CIPA DC-008, "Type")."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One attachment. `shrunk` names its format when it is not the original PNG."""

    name: str
    data: bytes
    shrunk: str | None = None


def uploads_of(
    images: Sequence[ImageRecord], folder: Path, limit: int, say: Say
) -> tuple[list[Upload], list[str]]:
    """The files within `limit` bytes each, and remarks on those that did not fit. Blocking.

    folder: where the images are.
    """
    limit = share([image.bytes for image in images], limit)
    uploads, remarks = [], []
    for image in images:
        path = folder / image.path
        upload = fit(path.name, path.read_bytes(), limit)
        if upload is None:
            remarks.append(say("result.too_large"))
            continue
        if upload.shrunk:
            megabytes = image.bytes / 1_000_000
            remarks.append(say("result.shrunk", format=upload.shrunk, megabytes=megabytes))
        uploads.append(upload)
    return uploads, list(dict.fromkeys(remarks))


def may_pass(error: OSError | ValueError) -> TypeGuard[OSError]:
    """Whether retrying may help: not for a missing file, nor, without an errno, for a bad one."""
    return isinstance(error, OSError) and error.errno is not None and not is_absent(error)


def share(sizes: Sequence[int], limit: int) -> int:
    """Bytes that each of these files may take, given `limit` per file and Discord's for all."""
    return limit if sum(sizes) <= REQUEST_MAX else min(limit, REQUEST_MAX // len(sizes))


def fit(name: str, png: bytes, limit: int) -> Upload | None:
    """The image in at most `limit` bytes: as it is, or as the best WebP that fits, or None.

    The WebP keeps the infotext in its EXIF comment, where AUTOMATIC1111 reads it.
    """
    if len(png) <= limit:
        return Upload(name, png)
    with Image.open(BytesIO(png)) as image:
        image.load()
        exif = _comment(read_png(png).parameters or "")
        webp = PurePath(name).with_suffix(".webp").name
        lossless = _webp(image, exif, lossless=True)
        if len(lossless) <= limit:
            return Upload(webp, lossless, "lossless WebP")
        best, low, high = None, QUALITIES.start, QUALITIES.stop
        while low < high:
            quality = (low + high) // 2
            data = _webp(image, exif, quality=quality)
            if len(data) <= limit:
                best, low = Upload(webp, data, f"WebP {quality}"), quality + 1
            else:
                high = quality
    return best


def _webp(image: Image.Image, exif: bytes, *, lossless: bool = False, quality: int = 80) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=quality, exif=exif)
    return buffer.getvalue()


def _comment(text: str) -> bytes:
    """Exif with `text` as its UserComment.

    Written here, because Pillow gives it the type BYTE; readers such as piexif, which AUTOMATIC1111
    uses, fail on anything but the standard's UNDEFINED.
    """
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    inner = _HEADER_BYTES + _DIRECTORY_BYTES
    return b"".join(
        (
            b"Exif\0\0MM\0*",
            struct.pack(">I", _HEADER_BYTES),
            _directory(ExifTags.IFD.Exif, _LONG, 1, inner),
            _directory(
                ExifTags.Base.UserComment, _UNDEFINED, len(comment), inner + _DIRECTORY_BYTES
            ),
            comment,
        )
    )


def _directory(tag: int, kind: int, count: int, value: int) -> bytes:
    """A directory of TIFF with one entry. value: itself, or where it is."""
    return struct.pack(">HHHIII", 1, tag, kind, count, value, 0)
