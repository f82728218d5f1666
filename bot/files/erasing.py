"""Erasing: deletes the files of results that someone deleted."""

import asyncio
import logging
from pathlib import Path

from bot.files.thumbnails import thumbnail_of
from bot.store import Store

log = logging.getLogger(__name__)


async def erase(store: Store, images_dir: Path, job_id: str) -> None:
    """Delete the images of the job, whose deletion has begun, from the disk and the database.

    Files that cannot be deleted now are logged; housekeeping tries again.
    """
    images = await store.images(job_id)
    files = [images_dir / image.path for image in images]
    small = [thumbnail_of(images_dir, job_id, image.n) for image in images]
    if await asyncio.to_thread(_unlink, job_id, files, small):
        await store.deletions.finish(job_id)


async def erase_rest(store: Store, images_dir: Path) -> None:
    """The same for all jobs whose deletion was not finished."""
    for job_id in await store.deletions.unfinished():
        await erase(store, images_dir, job_id)


def _unlink(job_id: str, files: list[Path], small: list[Path]) -> bool:
    """small: their thumbnails. Returns whether all are gone."""
    gone = True
    for file in (*files, *small):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.error("job %s: a file was not deleted: %s", job_id, error.strerror)
            gone = False
    for folder in {file.parent for file in files}:
        try:
            folder.rmdir()
        except OSError as error:
            log.debug("job %s: its folder stays: %s", job_id, error.strerror)
    return gone
