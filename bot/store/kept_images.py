"""The generated images whose files are still there: what they take, and how old they are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Self

from bot.store.database import Database, Row
from bot.store.jobs import now_ms


@dataclass(frozen=True, slots=True)
class KeptImage:
    """An image whose file still exists.

    ended_at: when its job ended, in milliseconds since the epoch.
    deletable: whether its job is delivered, failed or cancelled.
    """

    job_id: str
    n: int
    path: str
    bytes: int
    ended_at: int
    deletable: bool

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            job_id=row["job_id"],
            n=row["n"],
            path=row["path"],
            bytes=row["bytes"],
            ended_at=row["ended_at"],
            deletable=bool(row["deletable"]),
        )


class KeptImages:
    """The images in the store whose files were not pruned."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bytes(self) -> int:
        """What the files take together."""
        row = await self._database.row(
            "SELECT coalesce(sum(bytes), 0) AS total FROM images INDEXED BY images_kept_bytes"
            " WHERE pruned_at IS NULL"
        )
        return int(row["total"]) if row else 0

    async def pages(
        self, size: int = 1_000, *, favourites: bool = False
    ) -> AsyncIterator[list[KeptImage]]:
        """The images in the order they were made, at most `size` at a time.

        favourites: those that the one who asked for them keeps, instead of all others.
        """
        last, kept = 0, "" if favourites else "NOT "
        while True:
            rows = await self._database.rows(
                "SELECT images.rowid AS number, images.job_id, n, path, bytes,"  # noqa: S608
                " coalesce(finished_at, created_at) AS ended_at,"
                " state IN ('delivered', 'failed', 'cancelled') AS deletable"
                " FROM images JOIN jobs ON jobs.id = job_id"
                " WHERE pruned_at IS NULL AND images.rowid > ?"
                f" AND {kept}EXISTS (SELECT 1 FROM favourites WHERE job_id = images.job_id"
                " AND favourites.person = jobs.person)"
                " ORDER BY images.rowid LIMIT ?",
                (last, size),
            )
            if not rows:
                return
            last = rows[-1]["number"]
            yield [KeptImage.from_row(row) for row in rows]

    async def of_community(self, community: str, before: int) -> list[KeptImage]:
        """Up to 1,000 of the images asked for in a server whose jobs ended before that time, in ms,
        and are delivered, failed or cancelled."""
        rows = await self._database.rows(
            "SELECT job_id, n, path, bytes, coalesce(finished_at, created_at) AS ended_at,"
            " 1 AS deletable"
            " FROM images INDEXED BY images_kept JOIN jobs ON jobs.id = job_id"
            " WHERE pruned_at IS NULL AND community = ? AND coalesce(finished_at, created_at) < ?"
            " AND state IN ('delivered', 'failed', 'cancelled') LIMIT 1000",
            (community, before),
        )
        return [KeptImage.from_row(row) for row in rows]

    async def mark_pruned(self, images: Sequence[KeptImage]) -> None:
        """Record that their files were deleted."""
        sql = "UPDATE images SET pruned_at = ? WHERE job_id = ? AND n = ?"
        values = [(now_ms(), image.job_id, image.n) for image in images]
        await self._database.write(lambda write: write.executemany(sql, values))
