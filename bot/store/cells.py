"""The images of comparisons: each is stored as soon as it is there, and can be opened by itself."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Final

from bot.errors import Refused
from bot.progress import Notice
from bot.recipe import Recipe
from bot.store.accepting import accept
from bot.store.database import Database
from bot.store.jobs import ADD_IMAGE, ImageRecord, Job, NewJob, now_ms
from bot.store.origins import SELECT_JOBS

OPEN_AGAIN_MS: Final = 600_000
"""How long a person waits before the same cell is opened for them again: it costs no quota."""


class Cells:
    """In the table of images, a cell has its number on the sheet as `n`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, job: Job, image: ImageRecord, warnings: Sequence[Notice]) -> bool:
        """Record a finished cell of a running comparison; returns whether this attempt still runs.

        warnings: of all the job's cells so far; as in `Store.finish`, they are added to the job's.
        """

        def work(write: sqlite3.Connection) -> bool:
            changed = write.execute(
                "UPDATE jobs SET warnings = ? WHERE id = ? AND state = 'running' AND attempt = ?",
                (_notices((*job.warnings, *warnings)), job.id, job.attempt),
            )
            if changed.rowcount:
                write.execute(ADD_IMAGE, image.row(job.id))
            return changed.rowcount > 0

        return await self._database.write(work)

    async def drop(self, job: Job) -> None:
        """Forget the images of a comparison that was cancelled: its files are deleted."""
        sql = (
            "DELETE FROM images WHERE job_id = ?"
            " AND (SELECT state FROM jobs WHERE id = job_id) = 'cancelled'"
        )
        await self._database.write(lambda write: write.execute(sql, (job.id,)))

    async def refuse(self, job: Job, n: int) -> None:
        """Forget one image of a running comparison: its file is deleted."""
        sql = "DELETE FROM images WHERE job_id = ? AND n = ?"
        await self._database.write(lambda write: write.execute(sql, (job.id, n)))

    async def open(
        self, new: NewJob, recipe: Recipe, image: ImageRecord, warnings: Sequence[Notice]
    ) -> Job:
        """Accept `new`, of the kind *cell*, as *done* with this image, which is on disk.

        Raises Refused if the same was accepted before, or the person has just opened this cell and
        not deleted it.
        """
        request = json.dumps(new.request.to_dict(), ensure_ascii=False, sort_keys=True)
        made = json.dumps(recipe.to_dict(), ensure_ascii=False, sort_keys=True)
        now = now_ms()

        def work(write: sqlite3.Connection) -> Job:
            accept(new, request, now, None, write)
            opened = write.execute(
                "SELECT 1 FROM jobs WHERE id != ? AND person = ? AND created_at > ?"
                " AND kind = 'cell' AND parent_id = ? AND request = ? AND deleted_at IS NULL",
                (new.id, new.origin.person, now - OPEN_AGAIN_MS, new.parent_id, request),
            ).fetchone()
            if opened is not None:
                raise Refused("compare.opened")
            write.execute(
                "UPDATE jobs SET state = 'done', attempt = 1, finished_at = ?, recipe = ?,"
                " warnings = ? WHERE id = ?",
                (now, made, _notices(warnings), new.id),
            )
            write.execute(ADD_IMAGE, replace(image, n=0).row(new.id))
            return Job.from_row(write.execute(f"{SELECT_JOBS} WHERE id = ?", (new.id,)).fetchone())

        return await self._database.write(work)


def _notices(notices: Sequence[Notice]) -> str:
    return json.dumps([asdict(notice) for notice in notices], ensure_ascii=False, sort_keys=True)
