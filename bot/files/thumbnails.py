"""Thumbnails of results: made once, kept in a folder of bounded size, gone with their image."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Collection
from io import BytesIO
from pathlib import Path
from typing import Final

import PIL.Image

from bot.files.atomic import write_whole
from bot.store import ImageRecord

log = logging.getLogger(__name__)

SIDE: Final = 240
"""Pixels of the longer side; Discord shows 85 of them, on a sharp screen three times as many."""
QUALITY: Final = 80
BYTES_MAX: Final = 64 * 1024 * 1024
"""What all of them take at most: about ten thousand."""
AT_ONCE: Final = 2
"""How many are made at a time: a picture has to be decoded for each."""
_NAME: Final = re.compile(r"[0-9a-z]+-\d+\.webp")


def folder_of(images_dir: Path) -> Path:
    """Where they are: with the images, whose folders are named after their jobs."""
    return images_dir / ".thumbnails"


def thumbnail_of(images_dir: Path, job_id: str, n: int) -> Path:
    """The file of the thumbnail of image `n` of a job, whether or not it is there."""
    return folder_of(images_dir) / f"{job_id}-{n}.webp"


class Thumbnails:
    """Makes them. images_dir: the folder of generated images."""

    def __init__(self, images_dir: Path) -> None:
        self._images_dir = images_dir
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def of(self, job_id: str, image: ImageRecord) -> bytes | None:
        """As a WebP file; None if the image was pruned, or cannot be read."""
        if image.pruned_at is not None:
            return None
        async with self._at_once:
            try:
                return await asyncio.to_thread(self._of, job_id, image)
            except (OSError, SyntaxError, ValueError) as error:
                log.warning("job %s: no thumbnail: %s", job_id, type(error).__name__)
                return None

    def _of(self, job_id: str, image: ImageRecord) -> bytes:
        file = thumbnail_of(self._images_dir, job_id, image.n)
        with contextlib.suppress(FileNotFoundError):
            return file.read_bytes()
        data = small(self._images_dir / image.path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, data)
        if not (self._images_dir / image.path).exists():
            file.unlink(missing_ok=True)  # deleted meanwhile, and its thumbnail before it was there
        return data


def small(path: Path) -> bytes:
    """The image in the file, at most SIDE pixels long and wide. Raises OSError or ValueError."""
    buffer = BytesIO()
    with PIL.Image.open(path) as image:
        picture = image.convert("RGB")
    picture.thumbnail((SIDE, SIDE), PIL.Image.Resampling.LANCZOS)
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def drop_thumbnails(images_dir: Path, job_ids: Collection[str]) -> None:
    """Delete those of these jobs. Blocks. Raises OSError."""
    folder, jobs = folder_of(images_dir), frozenset(job_ids)
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if file.name.partition("-")[0] in jobs:
            file.unlink(missing_ok=True)


def prune_thumbnails(images_dir: Path, most: int = BYTES_MAX) -> int:
    """Delete the oldest beyond `most` bytes; they are made again when they are wanted. Blocks.

    Returns how many were deleted. Raises OSError.
    """
    folder = folder_of(images_dir)
    if not folder.is_dir():
        return 0
    files = [(file, file.stat()) for file in folder.iterdir() if _NAME.fullmatch(file.name)]
    total, gone = sum(status.st_size for _, status in files), 0
    for file, status in sorted(files, key=lambda each: each[1].st_mtime):
        if total <= most:
            break
        file.unlink(missing_ok=True)
        total, gone = total - status.st_size, gone + 1
    return gone
