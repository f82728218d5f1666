"""What people asked to have forgotten, from the request to the last trace of it."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from bot.store.database import Database, Row
from bot.store.jobs import Job, new_id, now_ms
from bot.store.origins import SELECT_JOBS
from bot.store.personal.erasing import erase_jobs, erase_remnants, erase_rest
from bot.store.personal.span import Span
from bot.store.settings import put_setting
from bot.store.usage import ASKED_BY_JOBS, DAY, Spent

PAGE: Final = 50
"""Jobs that are erased in one transaction, so that no one waits long for theirs."""
TOLD_WITHIN_MS: Final = 30_000
"""How long a job that has just ended is kept, so that its message can say so."""
TRACES: Final = "traces"
"""The key of the setting that keeps since when, in ms, the database's file may have remains of what
was deleted; '' while it has none."""
_OF: Final = "person = :person AND created_at >= :since AND created_at < :until"
# The request is not parsed: that of a newer version must be erased all the same.
_ERASABLE: Final = """
SELECT id,
       (SELECT json_group_array(path) FROM images WHERE job_id = jobs.id) AS files,
       iif(json_valid(request), json_array(
           json_extract(request, '$.init_image.sha256'),
           json_extract(request, '$.reference.sha256'),
           json_extract(request, '$.upscale.sha256')), '[]') AS inputs
FROM jobs
"""
_ENDED: Final = (
    "(state = 'delivered' OR state IN ('failed', 'cancelled')"
    " AND (told_at IS NOT NULL OR coalesce(finished_at, created_at) < :before))"
)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What `person` asked to have forgotten. hand_over: see erase_rest. asked_at: in ms."""

    id: str
    person: str
    span: Span
    hand_over: bool
    asked_at: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            id=row["id"],
            person=row["person"],
            span=Span(row["since"], row["until"]),
            hand_over=bool(row["hand_over"]),
            asked_at=row["asked_at"],
        )


@dataclass(frozen=True, slots=True)
class Erasable:
    """A job that can be erased. files: of its images, below the folder of images. inputs: sha256
    of the images that it was made from."""

    job_id: str
    files: tuple[str, ...]
    inputs: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            row["id"],
            tuple(json.loads(row["files"])),
            tuple(sha256 for sha256 in json.loads(row["inputs"]) if sha256),
        )


class Forgettings:
    """The requests in the database. Each step can be repeated after the process died."""

    def __init__(self, database: Database, spent: Spent) -> None:
        self._database = database
        self._spent = spent

    async def begin(self, person: str, span: Span, *, hand_over: bool) -> Forgetting:
        """Keep the request until it is carried out, whatever happens to the process."""
        request = Forgetting(new_id(), person, span, hand_over, now_ms())
        values = (request.id, person, span.since, span.until, hand_over, request.asked_at)
        await self._database.write(
            lambda write: write.execute(
                "INSERT INTO forgettings (id, person, since, until, hand_over, asked_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                values,
            )
        )
        return request

    async def waiting(self) -> list[Forgetting]:
        """Those that are not carried out, oldest first."""
        rows = await self._database.rows("SELECT * FROM forgettings ORDER BY asked_at, id")
        return [Forgetting.from_row(row) for row in rows]

    async def open_jobs(self, request: Forgetting) -> list[Job]:
        """The jobs that cannot be erased yet: they wait, run, or are being delivered."""
        rows = await self._database.rows(
            f"{SELECT_JOBS} WHERE {_OF} AND NOT {_ENDED} ORDER BY created_at DESC",
            self._values(request),
        )
        return [Job.from_row(row) for row in rows]

    async def erasable(self, request: Forgetting) -> list[Erasable]:
        """Up to PAGE jobs to erase next, latest first: what was made from a job comes before it."""
        rows = await self._database.rows(
            f"{_ERASABLE} WHERE {_OF} AND {_ENDED}"
            f" ORDER BY created_at DESC, rowid DESC LIMIT {PAGE}",
            self._values(request),
        )
        return [Erasable.from_row(row) for row in rows]

    async def outdated(self, before: int) -> list[Erasable]:
        """Up to PAGE jobs from before that time, in ms, that are no one's favourite."""
        rows = await self._database.rows(
            f"{_ERASABLE} WHERE state IN ('delivered', 'failed', 'cancelled')"  # noqa: S608
            " AND created_at < ? AND person != ''"
            " AND NOT EXISTS (SELECT 1 FROM favourites WHERE job_id = id)"
            f" ORDER BY created_at LIMIT {PAGE}",
            (before,),
        )
        return [Erasable.from_row(row) for row in rows]

    async def erase(self, jobs: Sequence[Erasable], *, messages: bool = True) -> None:
        """Delete the rows of jobs, whose files are gone. messages: whether those with the results
        are to be deleted as well."""
        ids = [job.job_id for job in jobs]
        inputs = [sha256 for job in jobs for sha256 in job.inputs]

        def work(write: sqlite3.Connection) -> None:
            since = now_ms() - DAY * 1000
            asked = write.execute(ASKED_BY_JOBS, (since, json.dumps(ids))).fetchall()
            self._spent.add(asked, since)
            erase_jobs(write, ids, inputs, messages=messages)
            erase_remnants(write)
            _leave_traces(write)

        await self._database.write(work)

    async def finish(self, request: Forgetting) -> None:
        """Delete all else of the person, and the request itself."""

        def work(write: sqlite3.Connection) -> None:
            erase_rest(write, request.person, request.span, hand_over=request.hand_over)
            erase_remnants(write)
            write.execute("DELETE FROM forgettings WHERE id = ?", (request.id,))
            _leave_traces(write)

        await self._database.write(work)

    async def inputs(self) -> list[str]:
        """sha256 of the input images that belonged to erased jobs."""
        rows = await self._database.rows("SELECT sha256 FROM forgotten_inputs")
        return [row["sha256"] for row in rows]

    async def is_uploaded(self, sha256: str) -> bool:
        """Whether a caller over HTTP has given the image as well."""
        sql = "SELECT 1 FROM api_uploads WHERE sha256 = ? LIMIT 1"
        return await self._database.row(sql, (sha256,)) is not None

    async def drop_input(self, sha256: str) -> None:
        """The image is deleted, or belongs to someone else."""
        await self._database.write(
            lambda write: write.execute("DELETE FROM forgotten_inputs WHERE sha256 = ?", (sha256,))
        )

    async def messages(self, limit: int) -> list[tuple[int, int]]:
        """Up to `limit` channels and messages to delete on Discord, latest first."""
        rows = await self._database.rows(
            "SELECT channel_id, message_id FROM forgotten_messages"
            " ORDER BY message_id DESC LIMIT ?",
            (limit,),
        )
        return [(row["channel_id"], row["message_id"]) for row in rows]

    async def drop_message(self, message_id: int) -> None:
        """The message is deleted, or cannot be."""
        await self._database.write(
            lambda write: write.execute(
                "DELETE FROM forgotten_messages WHERE message_id = ?", (message_id,)
            )
        )

    async def traces(self) -> int | None:
        """Since when the file may have remains of what was deleted, in ms; None if it has none."""
        row = await self._database.row("SELECT value FROM settings WHERE key = ?", (TRACES,))
        return int(row["value"]) if row and row["value"] else None

    async def rewrite(self) -> None:
        """Rewrite the database's file, so that nothing remains in it of what was deleted.

        Nothing can be written meanwhile. Raises StoreError if there is no room, or it is in use.
        """
        await self._database.rewrite()
        await self._database.write(lambda write: put_setting(write, TRACES, ""))

    @staticmethod
    def _values(request: Forgetting) -> dict[str, int | str]:
        return {
            "person": request.person,
            "since": request.span.since,
            "until": request.span.until,
            "before": now_ms() - TOLD_WITHIN_MS,
        }


def _leave_traces(write: sqlite3.Connection) -> None:
    write.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
        " SET value = iif(value = '', excluded.value, value)",
        (TRACES, str(now_ms())),
    )
