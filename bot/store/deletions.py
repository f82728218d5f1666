"""Results that someone deleted: the images go, the job stays and says so."""

import sqlite3
from collections.abc import Sequence

from bot.store.database import Database
from bot.store.history.index import remove
from bot.store.jobs import now_ms

ENDED = "('delivered', 'failed', 'cancelled')"


class Deletions:
    """Deletes the images of jobs, in two steps: the files go between them.

    A process that dies there leaves images whose deletion is to be finished.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, job_id: str) -> bool:
        """Note that the images of a job that has ended are deleted; its prompt is found no more.

        Returns False if there is no such job, it has not ended, or someone was faster.
        """

        def work(write: sqlite3.Connection) -> bool:
            changed = write.execute(
                f"UPDATE jobs SET deleted_at = ? WHERE id = ? AND state IN {ENDED}"  # noqa: S608
                " AND deleted_at IS NULL",
                (now_ms(), job_id),
            )
            if changed.rowcount:
                remove(write, [job_id])
            return changed.rowcount > 0

        return await self._database.write(work)

    async def unfinished(self) -> Sequence[str]:
        """The jobs whose images are deleted but not forgotten."""
        rows = await self._database.rows(
            "SELECT id FROM jobs WHERE deleted_at IS NOT NULL"
            " AND EXISTS (SELECT 1 FROM images WHERE job_id = id)"
        )
        return [row["id"] for row in rows]

    async def finish(self, job_id: str) -> None:
        """Forget the images of a job, whose files are gone."""
        async with self._database.transaction() as write:
            await write.execute("DELETE FROM images WHERE job_id = ?", (job_id,))
