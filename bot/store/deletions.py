"""Results that someone deleted: the images go, the job stays and says so."""

from bot.store.database import Database
from bot.store.jobs import now_ms

ENDED = "('delivered', 'failed', 'cancelled')"


class Deletions:
    """Deletes the images of jobs from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, job_id: str) -> tuple[str, ...] | None:
        """Forget the images of a job that has ended, and note that they were deleted.

        Returns the paths of their files, which are then to be deleted; None if there is no such
        job, it has not ended, or someone was faster.
        """
        async with self._database.transaction() as write:
            cursor = await write.execute(
                f"UPDATE jobs SET deleted_at = ? WHERE id = ? AND state IN {ENDED}"  # noqa: S608
                " AND deleted_at IS NULL",
                (now_ms(), job_id),
            )
            if cursor.rowcount == 0:
                return None
            rows = await write.execute_fetchall(
                "DELETE FROM images WHERE job_id = ? RETURNING path", (job_id,)
            )
        return tuple(row["path"] for row in rows)
