"""What people keep: the results that they marked with a star, each for themselves."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bot.store.database import Database
from bot.store.jobs import Job, now_ms
from bot.store.origins import SELECT_JOBS

_PAGE: Final = """
SELECT found.*, kept_at FROM favourites CROSS JOIN ({jobs}) AS found ON found.id = job_id
WHERE favourites.person = :person AND kept_at {compare} :at AND deleted_at IS NULL
ORDER BY kept_at {order} LIMIT :size
"""
_OLDER: Final = _PAGE.format(jobs=SELECT_JOBS, compare="<", order="DESC")
_NEWER: Final = _PAGE.format(jobs=SELECT_JOBS, compare=">", order="ASC")
_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Favourite:
    """kept_at: in milliseconds since the epoch, and no two of a person at the same time."""

    kept_at: int
    job: Job


class Favourites:
    """Adds them, removes them, lists them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed: Callable[[str], None] = lambda person: None

    def on_changed(self, changed: Callable[[str], None]) -> None:
        """Call `changed`, which must return at once, with each person who keeps or drops one."""
        self._changed = changed

    async def keep(self, person: str, job_id: str) -> bool:
        """Returns False if it was kept already, or is deleted."""

        def work(write: sqlite3.Connection) -> bool:
            # Pages go by the time.
            [last] = write.execute(
                "SELECT max(kept_at) FROM favourites WHERE person = ?", (person,)
            ).fetchone()
            added = write.execute(
                "INSERT OR IGNORE INTO favourites (person, job_id, kept_at)"
                " SELECT ?, id, ? FROM jobs WHERE id = ? AND deleted_at IS NULL",
                (person, max(now_ms(), (last or 0) + 1), job_id),
            )
            return added.rowcount > 0

        return self._told(person, await self._database.write(work))

    async def drop(self, person: str, job_id: str) -> bool:
        """Returns False if it was not kept."""
        sql = "DELETE FROM favourites WHERE person = ? AND job_id = ?"
        dropped = await self._database.write(
            lambda write: write.execute(sql, (person, job_id)).rowcount > 0
        )
        return self._told(person, dropped)

    def _told(self, person: str, changed: bool) -> bool:
        if changed:
            self._changed(person)
        return changed

    async def has(self, person: str, job_id: str) -> bool:
        row = await self._database.row(
            "SELECT 1 FROM favourites WHERE person = ? AND job_id = ?", (person, job_id)
        )
        return row is not None

    async def page(
        self, person: str, size: int, *, before: int | None = None, after: int | None = None
    ) -> list[Favourite]:
        """At most `size` that are not deleted, the last kept first.

        before: only what was kept earlier. after: the nearest of what was kept later.
        """
        at = (before or _EVER) if after is None else after
        rows = await self._database.rows(
            _OLDER if after is None else _NEWER, {"person": person, "at": at, "size": size}
        )
        found = [Favourite(row["kept_at"], Job.from_row(row)) for row in rows]
        return sorted(found, key=lambda each: each.kept_at, reverse=True)
