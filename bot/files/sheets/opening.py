"""A cell of a comparison as a result of its own: already generated, so its file is copied."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import Refused
from bot.files.atomic import write_whole
from bot.files.metadata import read_png
from bot.recipe import Recipe
from bot.request import Cell, cells
from bot.store import (
    ImageRecord,
    Job,
    JobState,
    NewJob,
    Origin,
    Store,
    files_error,
    files_unread,
    warnings_of,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A cell that is there: its request, and its image with the recipe."""

    cell: Cell
    image: ImageRecord
    recipe: Recipe
    data: bytes


async def cell_of(store: Store, images_dir: Path, job: Job, n: int) -> Opened:
    """The cell `n` of a comparison.

    Raises Refused if there is none, it failed, or its file is gone; StoreError if that cannot be
    read at the moment.
    """
    found = next((cell for cell in cells(job.request) if cell.n == n), None)
    if found is None or job.state not in (JobState.DONE, JobState.DELIVERED):
        raise Refused("compare.no_cell")
    image = next((image for image in await store.images(job.id) if image.n == n), None)
    if image is None:
        raise Refused("compare.cell_failed", values=" · ".join(found.values))

    def read() -> tuple[Recipe, bytes] | None:
        try:
            data = (images_dir / image.path).read_bytes()
            recipe = read_png(data).recipe
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            raise files_unread(images_dir, error) from error
        return None if recipe is None else (recipe, data)

    kept = None if image.pruned_at is not None else await asyncio.to_thread(read)
    if kept is None or hashlib.sha256(kept[1]).hexdigest() != image.sha256:
        raise Refused("compare.cell_gone", values=" · ".join(found.values))
    recipe, data = kept
    # The file says which kernels were used; the store keeps the request as it was asked.
    return Opened(found, image, replace(recipe, request=found.request), data)


async def open_cell(
    store: Store, images_dir: Path, job: Job, n: int, origin: Origin, roles: frozenset[int]
) -> Job:
    """Make the cell `n` of `job` a job of its own that is *done*, to be delivered like any other.

    Nothing is generated, and it counts towards no limit. It has a copy of the file, so that either
    job can be deleted. origin, roles: of the person who opens it. Raises as `cell_of`, StoreError
    if the copy cannot be written, and Refused if the same interaction has opened it before.
    """
    opened = await cell_of(store, images_dir, job, n)
    new = NewJob(
        request=opened.cell.request, origin=origin, kind="cell", roles=roles, parent_id=job.id
    )
    path = images_dir / new.id / Path(opened.image.path).name

    def copy() -> None:
        try:
            path.parent.mkdir(parents=True)
            write_whole(path, opened.data)
        except OSError as error:
            raise files_error(images_dir, error) from error

    await asyncio.to_thread(copy)
    record = replace(opened.image, n=0, path=f"{new.id}/{path.name}", pruned_at=None)
    try:
        return await store.cells.open(new, opened.recipe, record, warnings_of(job, n))
    except BaseException:
        await asyncio.to_thread(_remove, path)
        raise


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.parent.rmdir()
