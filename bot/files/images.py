"""Generated images on disk, written atomically."""

import hashlib
import shutil
from pathlib import Path

from bot.files.atomic import write_whole
from bot.files.metadata import encode_png
from bot.painting import Painting
from bot.store import ImageRecord, Job


def image_name(model: str, seed: int, n: int, count: int) -> str:
    """`sdxl-base-42.png`; for several, `sdxl-base-42-1.png`, `sdxl-base-43-2.png`, …"""
    return f"{model}-{seed}.png" if count == 1 else f"{model}-{seed}-{n + 1}.png"


def save_images(painting: Painting, job: Job, folder: Path) -> tuple[ImageRecord, ...]:
    """Write each image to `folder/<job id>/` as a PNG with its recipe, synced to disk.

    Raises OSError if that fails.
    """
    own = folder / job.id
    own.mkdir(parents=True, exist_ok=True)
    records = []
    for n, painted in enumerate(painting.images):
        data = encode_png(painted.image, painting.recipe, painted.seed)
        path = own / image_name(job.request.model, painted.seed, n, len(painting.images))
        write_whole(path, data)
        records.append(
            ImageRecord(
                n=n,
                seed=painted.seed,
                path=path.relative_to(folder).as_posix(),
                bytes=len(data),
                width=painted.image.width,
                height=painted.image.height,
                sha256=hashlib.sha256(data).hexdigest(),
                pixels_sha256=painted.pixels_sha256,
            )
        )
    return tuple(records)


def discard_images(job: Job, folder: Path) -> None:
    """Delete what `save_images` wrote for a job whose result is discarded."""
    shutil.rmtree(folder / job.id, ignore_errors=True)
