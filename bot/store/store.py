"""Store: the only door to the database. Every change of a job's state is one fenced UPDATE."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Self

import aiosqlite

from bot.errors import Loss, Refused
from bot.progress import Notice
from bot.queue.limits import DAY, Usage
from bot.recipe import Recipe
from bot.store.backup import back_up
from bot.store.database import Database, Row
from bot.store.jobs import (
    Asked,
    Failure,
    ImageRecord,
    Job,
    JobState,
    KeptImage,
    NewJob,
    Origin,
    Painted,
    now_ms,
)


class Store:
    """Jobs, images and settings. Use as `async with Store.open(path) as store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        async with Database.open(path) as database:
            yield cls(database)

    # Accepting

    async def accept(self, new: NewJob, check: Callable[[Usage], None] | None = None) -> Job:
        """Insert `new` as pending, unless `check` raises Refused.

        The usage that it sees and the insert are one transaction, so two requests cannot both take
        the last place. An interaction that was replayed is refused: it has its job.
        """
        asked_at = now_ms()
        async with self._database.transaction() as write:
            if new.asked is not None:
                await self._check_replay(write, new.asked)
            if check is not None:
                check(await _usage(write.execute_fetchall, new, asked_at))
            await write.execute(
                "INSERT INTO jobs (id, origin, kind, parent_id, request, user_id, guild_id,"
                " channel_id, reply_to, locale, upload_limit, priority, created_at, interaction_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    new.id,
                    new.origin,
                    new.kind,
                    new.parent_id,
                    _json(new.request.to_dict()),
                    new.user_id,
                    new.guild_id,
                    new.channel_id,
                    new.reply_to,
                    new.locale,
                    new.upload_limit,
                    new.priority,
                    asked_at,
                    new.asked and new.asked.id,
                ),
            )
            if new.asked is not None:
                await write.execute(
                    "INSERT INTO tokens (job_id, token, good_to) VALUES (?, ?, ?)",
                    (new.id, new.asked.token, new.asked.good_to),
                )
            return await _written(write, new.id)

    async def set_message(self, job_id: str, channel_id: int, message_id: int) -> None:
        """Remember which message shows the job."""
        async with self._database.transaction() as write:
            await write.execute(
                "UPDATE jobs SET channel_id = ?, message_id = ? WHERE id = ?",
                (channel_id, message_id, job_id),
            )

    async def set_posting(self, job_id: str) -> int | None:
        """Note that a message of its own is about to be sent; when that was first done, if ever."""
        async with self._database.transaction() as write:
            async with write.execute("SELECT posting_at FROM jobs WHERE id = ?", (job_id,)) as rows:
                row = await rows.fetchone()
            before: int | None = row["posting_at"] if row else None
            await write.execute(
                "UPDATE jobs SET posting_at = ? WHERE id = ? AND posting_at IS NULL",
                (now_ms(), job_id),
            )
        return before

    async def token(self, job_id: str) -> str | None:
        """The token of the interaction that asked for the job, while it is good."""
        row = await self._database.row(
            "SELECT token FROM tokens WHERE job_id = ? AND good_to > ?", (job_id, now_ms())
        )
        return row["token"] if row else None

    async def erase_token(self, job_id: str) -> None:
        """Forget the job's token: its interaction cannot be answered any more."""
        async with self._database.transaction() as write:
            await write.execute("DELETE FROM tokens WHERE job_id = ?", (job_id,))

    async def erase_tokens(self) -> None:
        """Forget the tokens that are of no more use, by age or because their job has ended."""
        async with self._database.transaction() as write:
            await write.execute(
                "DELETE FROM tokens WHERE good_to <= ? OR job_id IN"
                " (SELECT id FROM jobs WHERE state = 'delivered' OR told_at IS NOT NULL)",
                (now_ms(),),
            )

    # Transitions: each returns the job as it is now, or None when it was not in the state expected.

    async def start(self, job_id: str, passed: Collection[str] = ()) -> Job | None:
        """pending → running, as one more attempt. passed: whose turn it was instead."""
        now = now_ms()
        async with self._database.transaction() as write:
            cursor = await write.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started_at = ?"
                " WHERE state = 'pending' AND id = ?",
                (now, job_id),
            )
            if cursor.rowcount == 0:
                return None
            await write.executemany(
                "UPDATE jobs SET passed = passed + 1, due_at = coalesce(due_at, ?) WHERE id = ?",
                [(now, other) for other in passed],
            )
            return await _written(write, job_id)

    async def requeue(self, job: Job) -> Job | None:
        """running → pending, when a shutdown interrupted this attempt."""
        return await self._transition(
            job.id, "state = 'pending' WHERE state = 'running' AND attempt = ?", (job.attempt,)
        )

    async def lose(self, job: Job, loss: Loss) -> Job | None:
        """running → pending, when this attempt makes an end of the process."""
        return await self._transition(
            job.id,
            "state = 'pending', crashes = crashes + 1, lost_to = ?"
            " WHERE state = 'running' AND attempt = ?",
            (loss.value, job.attempt),
        )

    async def finish(
        self, job: Job, recipe: Recipe, images: Sequence[ImageRecord], notices: Sequence[Notice]
    ) -> Job | None:
        """running → done: the files are on disk."""
        async with self._database.transaction() as write:
            cursor = await write.execute(
                "UPDATE jobs SET state = 'done', finished_at = ?, recipe = ?, warnings = ?"
                " WHERE id = ? AND state = 'running' AND attempt = ?",
                (
                    now_ms(),
                    _json(recipe.to_dict()),
                    _json([asdict(notice) for notice in notices]),
                    job.id,
                    job.attempt,
                ),
            )
            if cursor.rowcount == 0:
                return None
            await write.executemany(
                "INSERT OR REPLACE INTO images (job_id, n, seed, path, bytes, width, height,"
                " sha256, pixels_sha256)"
                " VALUES (:job_id, :n, :seed, :path, :bytes, :width, :height, :sha256,"
                " :pixels_sha256)",
                [{"job_id": job.id, **asdict(image)} for image in images],
            )
            return await _written(write, job.id)

    async def deliver(
        self, job: Job, channel_id: int | None = None, message_id: int | None = None
    ) -> Job | None:
        """done → delivered, in that message."""
        return await self._transition(
            job.id,
            "state = 'delivered', delivered_at = ?, channel_id = coalesce(?, channel_id),"
            " message_id = coalesce(?, message_id) WHERE state = 'done' AND attempt = ?",
            (now_ms(), channel_id, message_id, job.attempt),
        )

    async def fail(self, job: Job, failure: Failure) -> Job | None:
        """pending, running or done → failed."""
        return await self._transition(
            job.id,
            "state = 'failed', finished_at = coalesce(finished_at, ?), error = ?"
            " WHERE state IN ('pending', 'running', 'done') AND attempt = ?",
            (now_ms(), _json(asdict(failure)), job.attempt),
        )

    async def cancel(self, job: Job) -> Job | None:
        """pending or running → cancelled."""
        return await self._transition(
            job.id,
            "state = 'cancelled', finished_at = ? WHERE state IN ('pending', 'running')"
            " AND attempt = ?",
            (now_ms(), job.attempt),
        )

    async def tell(self, job: Job) -> Job | None:
        """The person was told that the job failed or was cancelled, or cannot be."""
        return await self._transition(
            job.id,
            "told_at = ? WHERE state IN ('failed', 'cancelled') AND attempt = ?",
            (now_ms(), job.attempt),
        )

    async def recover(self, origin: Origin) -> None:
        """At start, before anything runs: what a crash left running waits again."""
        async with self._database.transaction() as write:
            await write.execute(
                "UPDATE jobs SET state = 'pending', crashes = crashes + 1, lost_to = 'died'"
                " WHERE state = 'running' AND origin = ?",
                (origin,),
            )

    # Reading

    async def find(self, job_id: str) -> Job | None:
        row = await self._database.row("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return Job.from_row(row) if row else None

    async def job(self, job_id: str) -> Job:
        """Raises LookupError when there is none of that id."""
        if (job := await self.find(job_id)) is None:
            raise LookupError(f"no job {job_id}")
        return job

    async def job_of_message(self, message_id: int) -> Job | None:
        row = await self._database.row("SELECT * FROM jobs WHERE message_id = ?", (message_id,))
        return Job.from_row(row) if row else None

    async def jobs_in(self, state: JobState, origin: Origin) -> list[Job]:
        """All jobs of `origin` in `state`, the oldest first."""
        rows = await self._database.rows(
            "SELECT * FROM jobs WHERE state = ? AND origin = ? ORDER BY created_at, rowid",
            (state.value, origin),
        )
        return [Job.from_row(row) for row in rows]

    async def untold(self, origin: Origin) -> list[Job]:
        """The jobs that failed or were cancelled without their person being told, oldest first."""
        rows = await self._database.rows(
            "SELECT * FROM jobs WHERE state IN ('failed', 'cancelled') AND told_at IS NULL"
            " AND origin = ? ORDER BY created_at, rowid",
            (origin,),
        )
        return [Job.from_row(row) for row in rows]

    async def images(self, job_id: str) -> tuple[ImageRecord, ...]:
        rows = await self._database.rows(
            "SELECT * FROM images WHERE job_id = ? ORDER BY n", (job_id,)
        )
        return tuple(ImageRecord.from_row(row) for row in rows)

    async def usage(self, new: NewJob, now: float) -> Usage:
        """What the limits of `new` go by, at `now` seconds."""
        return await _usage(self._database.rows, new, int(now * 1000))

    async def last_served(self, users: Collection[int]) -> dict[int, float]:
        """When a job of each of `users` was last begun, in seconds; without those never served."""
        rows = await self._database.rows(
            "SELECT users.value AS user_id, (SELECT max(started_at) FROM jobs"
            " WHERE user_id = users.value AND started_at IS NOT NULL) AS started_at"
            " FROM json_each(?) AS users",
            (_json(list(users)),),
        )
        return {row["user_id"]: row["started_at"] / 1000 for row in rows if row["started_at"]}

    async def painted(self, origin: Origin, limit: int = 1_000) -> list[Painted]:
        """The latest jobs that were painted, the oldest of them first."""
        rows = await self._database.rows(
            "SELECT id, request, started_at, finished_at FROM jobs"
            " WHERE state IN ('done', 'delivered') AND origin = ?"
            " AND started_at IS NOT NULL AND finished_at > started_at"
            " ORDER BY started_at DESC LIMIT ?",
            (origin, limit),
        )
        return [painted for row in reversed(rows) if (painted := Painted.from_row(row))]

    async def kept_images(self) -> list[KeptImage]:
        """Every picture whose file was not pruned, the oldest first."""
        rows = await self._database.rows(
            "SELECT job_id, n, path, bytes, coalesce(finished_at, created_at) AS ended_at,"
            " state IN ('delivered', 'failed', 'cancelled') AS deletable"
            " FROM images JOIN jobs ON jobs.id = job_id WHERE pruned_at IS NULL"
            " ORDER BY ended_at, job_id, n"
        )
        # Years of pictures are many rows: the loop has other things to do meanwhile.
        return await asyncio.to_thread(
            lambda: [KeptImage(**{**row, "deletable": bool(row["deletable"])}) for row in rows]
        )

    async def mark_pruned(self, images: Sequence[KeptImage]) -> None:
        """Note that their files were deleted."""
        async with self._database.transaction() as write:
            await write.executemany(
                "UPDATE images SET pruned_at = ? WHERE job_id = ? AND n = ?",
                [(now_ms(), image.job_id, image.n) for image in images],
            )

    async def back_up(self, today: date) -> Path | None:
        """See bot.store.backup."""
        return await back_up(self._database, today)

    async def inputs(self) -> frozenset[str]:
        """sha256 of every picture that a job refers to; see bot.files.inputs."""
        rows = await self._database.rows(
            "SELECT json_extract(request, '$.init_image.sha256') AS sha256 FROM jobs"
            " WHERE json_valid(request)"
            " UNION SELECT json_extract(request, '$.reference.sha256') FROM jobs"
            " WHERE json_valid(request)"
        )
        return frozenset(row["sha256"] for row in rows if row["sha256"])

    async def setting(self, key: str) -> str | None:
        row = await self._database.row("SELECT value FROM settings WHERE key = ?", (key,))
        return row["value"] if row else None

    async def set_setting(self, key: str, value: str) -> None:
        async with self._database.transaction() as write:
            await write.execute(
                "INSERT INTO settings (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )

    # Within

    async def _transition(
        self, job_id: str, change: str, parameters: tuple[Any, ...]
    ) -> Job | None:
        """`change` is one of the constant texts above, never a value."""
        async with self._database.transaction() as write:
            cursor = await write.execute(
                f"UPDATE jobs SET {change} AND id = ?",  # noqa: S608
                (*parameters, job_id),
            )
            if cursor.rowcount == 0:
                return None
            return await _written(write, job_id)

    @staticmethod
    async def _check_replay(write: aiosqlite.Connection, asked: Asked) -> None:
        async with write.execute(
            "SELECT 1 FROM jobs WHERE interaction_id = ?", (asked.id,)
        ) as cursor:
            if await cursor.fetchone():
                raise Refused("queue.twice")


async def _written(write: aiosqlite.Connection, job_id: str) -> Job:
    """The job as this transaction leaves it: read later, a failure would hide that it was kept."""
    [row] = await write.execute_fetchall("SELECT * FROM jobs WHERE id = ?", (job_id,))
    return Job.from_row(row)


Rows = Callable[[str, Sequence[Any]], Awaitable[Iterable[Row]]]


async def _usage(rows: Rows, new: NewJob, now: int) -> Usage:
    """What the user of `new`, and all others, have asked for until `now`."""
    [counts] = await rows(
        "SELECT count(*) AS in_all, coalesce(sum(user_id = ?), 0) AS own,"
        " coalesce(sum(guild_id = ?), 0) AS in_guild FROM jobs"
        " WHERE state IN ('pending', 'running') AND origin = ?",
        (new.user_id, new.guild_id, new.origin),
    )
    # What failed, or was cancelled before anything was painted, is given back.
    asked = list(
        await rows(
            "SELECT created_at, coalesce(json_extract(iif(json_valid(request), request, '{}'),"
            " '$.count'), 1) AS count FROM jobs"
            " WHERE user_id = ? AND created_at > ? AND origin = ? AND state != 'failed'"
            " AND (state != 'cancelled' OR started_at IS NOT NULL) ORDER BY created_at",
            (new.user_id, now - DAY * 1000, new.origin),
        )
    )
    return Usage(
        asked_at=asked[-1]["created_at"] / 1000 if asked else None,
        pictures=tuple(row["created_at"] / 1000 for row in asked for _ in range(row["count"])),
        own=counts["own"],
        in_guild=counts["in_guild"],
        in_all=counts["in_all"],
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
