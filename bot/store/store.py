"""Store: the only door to the database. Every change of a job's state is one fenced UPDATE."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Self

import aiosqlite

from bot.errors import Loss, Refused
from bot.progress import Notice
from bot.recipe import Recipe
from bot.store.backup import back_up
from bot.store.database import Database
from bot.store.jobs import (
    Asked,
    Failure,
    ImageRecord,
    Job,
    JobState,
    KeptImage,
    Limits,
    NewJob,
    Origin,
    new_id,
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

    async def accept(self, new: NewJob, limits: Limits | None = None) -> Job:
        """Insert `new` as pending, unless the queue or the user's share of it is full (Refused).

        The count and the insert are one transaction, so two requests cannot both take the last
        place. An interaction that was replayed is refused: it has its job.
        """
        job_id = new_id()
        async with self._database.transaction() as write:
            if new.asked is not None:
                await self._check_replay(write, new.asked)
            if limits is not None:
                await self._check(write, new, limits)
            await write.execute(
                "INSERT INTO jobs (id, origin, kind, parent_id, request, user_id, guild_id,"
                " channel_id, reply_to, locale, upload_limit, created_at, interaction_id)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job_id,
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
                    now_ms(),
                    new.asked and new.asked.id,
                ),
            )
            if new.asked is not None:
                await write.execute(
                    "INSERT INTO tokens (job_id, token, good_to) VALUES (?, ?, ?)",
                    (job_id, new.asked.token, new.asked.good_to),
                )
        return await self.job(job_id)

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

    async def start(self, job_id: str) -> Job | None:
        """pending → running, as one more attempt."""
        return await self._transition(
            job_id,
            "state = 'running', attempt = attempt + 1, started_at = ? WHERE state = 'pending'",
            (now_ms(),),
        )

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
        return await self.job(job.id)

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

    async def kept_images(self) -> list[KeptImage]:
        """Every picture whose file was not pruned, the oldest first."""
        rows = await self._database.rows(
            "SELECT job_id, n, path, bytes, coalesce(finished_at, created_at) AS ended_at,"
            " state IN ('delivered', 'failed', 'cancelled') AS deletable"
            " FROM images JOIN jobs ON jobs.id = job_id WHERE pruned_at IS NULL"
            " ORDER BY ended_at, job_id, n"
        )
        return [KeptImage(**{**row, "deletable": bool(row["deletable"])}) for row in rows]

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
        """sha256 of every picture that a job refers to; see bot.inputs."""
        rows = await self._database.rows(
            "SELECT json_extract(request, '$.init_image.sha256') AS sha256 FROM jobs"
            " UNION SELECT json_extract(request, '$.reference.sha256') FROM jobs"
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
        return await self.job(job_id)

    @staticmethod
    async def _check_replay(write: aiosqlite.Connection, asked: Asked) -> None:
        async with write.execute(
            "SELECT 1 FROM jobs WHERE interaction_id = ?", (asked.id,)
        ) as cursor:
            if await cursor.fetchone():
                raise Refused("queue.twice")

    @staticmethod
    async def _check(write: aiosqlite.Connection, new: NewJob, limits: Limits) -> None:
        async with write.execute(
            "SELECT count(*) AS everyone, coalesce(sum(user_id = ?), 0) AS own FROM jobs"
            " WHERE state IN ('pending', 'running') AND origin = ?",
            (new.user_id, new.origin),
        ) as cursor:
            [row] = await cursor.fetchall()
        if row["own"] >= limits.per_user:
            raise Refused("queue.user_full", limit=limits.per_user)
        if row["everyone"] >= limits.size:
            raise Refused("queue.full", limit=limits.size)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
