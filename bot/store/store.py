"""Store: all access to the database. Every change of a job's state is one fenced UPDATE."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from bot.errors import Loss, StoreError
from bot.progress import Notice
from bot.recipe import Recipe
from bot.store.accepting import accept
from bot.store.acts import NewAct
from bot.store.backup import aside_of, back_up, kept_until
from bot.store.boot import boot_id
from bot.store.crashes import WITNESS, lost, put_back, suspect
from bot.store.database import Database, Row
from bot.store.jobs import ADD_IMAGE, Failure, ImageRecord, Job, JobState, NewJob, Painted, now_ms
from bot.store.messages import SET_MESSAGE
from bot.store.origins import SELECT_JOBS, Origin
from bot.store.rooms import Rooms
from bot.store.settings import put_setting
from bot.store.usage import ASKED, DAY, UNDATE, Usage, usage_of

COPY_NOTICED = "copy noticed"
"""The key of the setting that keeps when another copy of the bot was last noticed, in ms."""
LOOK = 5.0
"""Seconds between two looks at the database's file."""
_OF_ORIGINS = "origin IN (SELECT value FROM json_each(?))"


class Store(Rooms):
    """Jobs, images and settings. Use as `async with Store.open(path) as store`.

    boot: identifies the machine's current boot; None where the system does not say.
    """

    def __init__(self, database: Database, boot: str | None = None) -> None:
        super().__init__(database)
        self._database = database
        self._boot = boot

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        async with Database.open(path) as database:
            yield cls(database, await asyncio.to_thread(boot_id))

    @property
    def displaced(self) -> bool:
        """Whether the database's file was replaced, moved or deleted while it is open."""
        return self._database.displaced

    async def look_over(self) -> None:
        """See Database.look_over."""
        await self._database.look_over()

    async def watch(self) -> None:
        """Look every LOOK seconds whether the database's file is in place, until cancelled."""
        while True:
            with suppress(StoreError):  # logged, and raised at every write
                await self._database.check()
            await asyncio.sleep(LOOK)

    # Accepting

    async def accept(
        self,
        new: NewJob,
        check: Callable[[Usage], None] | None = None,
        acts: Sequence[NewAct] = (),
    ) -> Job:
        """Insert `new` as pending, unless `check` raises Refused. acts: to be kept with it.

        `check` gets what the person has asked for in the last day, in the same transaction as the
        insert, so that two requests cannot both use up a quota. It runs in another thread. Also
        raises what the origin's `check_new` does.
        """
        request = _json(new.request.to_dict())
        now = now_ms()
        spent = self._spent.of(new.origin.person, now - DAY * 1000)
        job = await self._database.write(
            partial(accept, new, request, now, check, spent=spent, acts=acts)
        )
        if acts:
            self.acts.recorded()
        return job

    async def check_new(self, origin: Origin) -> None:
        """Raise what `accept` would if the same was accepted before."""
        await self._database.write(origin.check_new)

    # Transitions: each returns the updated job, or None if it was not in the expected state.

    async def start(
        self,
        job_id: str,
        passed: Collection[str] = (),
        saving: Collection[Job] = (),
        lane: str | None = None,
        *,
        isolated: bool = False,
    ) -> Job | None:
        """pending → running, as a new attempt. passed: ids of jobs that it goes ahead of. lane: the
        name of the one that generates it; isolated: whether it does so in another process.

        saving: attempts whose images only have to be saved, with when they were painted. From then
        on they are not to blame if the process dies; it costs no transaction of its own.
        """
        now = now_ms()
        behind = [(now, other) for other in passed]
        handed_over = [(other.painted_at, other.attempt, other.id) for other in saving]

        def start(write: sqlite3.Connection) -> Job | None:
            begun = write.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started_at = ?,"
                " boot = ?, lane = ?, isolated = ?, painted_at = NULL"
                " WHERE state = 'pending' AND id = ?",
                (now, self._boot, lane, isolated, job_id),
            ).rowcount
            if not begun:
                return None
            write.executemany(
                "UPDATE jobs SET passed = passed + 1, due_at = coalesce(due_at, ?) WHERE id = ?",
                behind,
            )
            write.executemany(
                "UPDATE jobs SET painted_at = ? WHERE state = 'running' AND attempt = ? AND id = ?",
                handed_over,
            )
            return _written(write, job_id)

        return await self._database.write(start)

    async def requeue(
        self, job: Job, memory_above: int = 0, *, given_back: bool = False
    ) -> Job | None:
        """running → pending, after a shutdown interrupted this attempt, because it needs a larger
        GPU than one with `memory_above` bytes, or because it was `given_back`, which is counted."""
        return await self._transition(
            job.id,
            "state = 'pending', memory_above = max(memory_above, ?), given_back = given_back + ?"
            " WHERE state = 'running' AND attempt = ?",
            (memory_above, given_back, job.attempt),
        )

    async def lose(self, job: Job, loss: Loss, *, sure: bool = True) -> Job | None:
        """running → pending, and one more crash: this attempt made its engine unusable. sure: see
        EngineLost."""
        return await self._database.write(
            lambda write: _written(write, job.id) if lost(write, job, loss, sure=sure) else None
        )

    async def finish(
        self,
        job: Job,
        recipe: Recipe,
        images: Sequence[ImageRecord],
        notices: Sequence[Notice],
        words: str | None = None,
    ) -> Job | None:
        """running → done: the files are on disk. job: with when it was painted; if None, now.

        notices: about the result; they are added to the job's warnings. words: see Job.
        """
        now = now_ms()
        made = _json(recipe.to_dict())
        warnings = _json([asdict(notice) for notice in (*job.warnings, *notices)])
        rows = [image.row(job.id) for image in images]

        def finish(write: sqlite3.Connection) -> Job | None:
            finished = write.execute(
                "UPDATE jobs SET state = 'done', finished_at = ?, painted_at = ?, recipe = ?,"
                " warnings = ?, words = ? WHERE id = ? AND state = 'running' AND attempt = ?",
                (
                    now,
                    now if job.painted_at is None else job.painted_at,
                    made,
                    warnings,
                    words,
                    job.id,
                    job.attempt,
                ),
            ).rowcount
            if not finished:
                return None
            write.executemany(ADD_IMAGE, rows)
            return _written(write, job.id)

        return await self._database.write(finish)

    async def deliver(
        self, job: Job, channel_id: int | None = None, message_id: int | None = None
    ) -> Job | None:
        """done → delivered; on Discord, in that message."""

        def deliver(write: sqlite3.Connection) -> Job | None:
            delivered = write.execute(
                "UPDATE jobs SET state = 'delivered', delivered_at = ?"
                " WHERE state = 'done' AND attempt = ? AND id = ?",
                (now_ms(), job.attempt, job.id),
            ).rowcount
            if not delivered:
                return None
            if channel_id is not None and message_id is not None:
                write.execute(SET_MESSAGE, (channel_id, message_id, job.id))
            return _written(write, job.id)

        return await self._database.write(deliver)

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

    async def disown(self, job_id: str) -> None:
        """pending, running or done → cancelled, told at once; its interaction's token is deleted.

        For a request that another copy of the bot has answered, which must keep its answer.
        """

        def disown(write: sqlite3.Connection) -> None:
            write.execute(
                "UPDATE jobs SET state = 'cancelled', told_at = :now,"
                " finished_at = coalesce(finished_at, :now)"
                " WHERE id = :id AND state IN ('pending', 'running', 'done')",
                {"now": now_ms(), "id": job_id},
            )
            write.execute("DELETE FROM tokens WHERE job_id = ?", (job_id,))

        await self._database.write(disown)

    async def tell(self, job: Job) -> Job | None:
        """Record that the person was told of the failure or cancellation, or cannot be."""
        return await self._transition(
            job.id,
            "told_at = ? WHERE state IN ('failed', 'cancelled') AND attempt = ?",
            (now_ms(), job.attempt),
        )

    async def requeue_all(
        self, origins: tuple[str, ...], *, innocent: bool = False, own: bool = False
    ) -> None:
        """running → pending at start-up, for all jobs that the end of a process interrupted.

        Each becomes a suspect, unless the machine has been restarted since it began, or it was only
        being saved while another was generated. innocent: no job ended that process. own: one did;
        if only one was being generated, that one.
        """
        await self._database.write(
            lambda write: (
                put_back(write, origins)
                if innocent
                else suspect(write, origins, self._boot, own=own)
            )
        )

    async def witness(self, job: Job) -> Job | None:
        """running → pending, after the command line that ran it died; as in `requeue_all`."""
        if job.painted_at is not None:
            return await self.requeue(job)
        return await self._transition(
            job.id,
            f"{WITNESS} WHERE state = 'running' AND attempt = ?",
            (self._boot, job.attempt),
        )

    # Reading

    async def find(self, job_id: str) -> Job | None:
        row = await self._database.row(f"{SELECT_JOBS} WHERE id = ?", (job_id,))
        return Job.from_row(row) if row else None

    async def job(self, job_id: str) -> Job:
        """Raises LookupError if there is no job with that id."""
        if (job := await self.find(job_id)) is None:
            raise LookupError(f"no job {job_id}")
        return job

    async def jobs_in(self, state: JobState, origins: tuple[str, ...]) -> list[Job]:
        """All jobs of `origins` in `state`, oldest first. state: pending, running or done."""
        # The condition of the index is repeated, or SQLite would not use it.
        rows = await self._database.rows(
            f"{SELECT_JOBS} WHERE state IN ('pending', 'running', 'done') AND state = ?"
            f" AND {_OF_ORIGINS} ORDER BY created_at, jobs.rowid",
            (state.value, _json(origins)),
        )
        return await _read(rows)

    async def untold(self, origins: tuple[str, ...]) -> list[Job]:
        """Failed and cancelled jobs whose person has not been told yet, oldest first."""
        rows = await self._database.rows(
            f"{SELECT_JOBS} WHERE state IN ('failed', 'cancelled') AND told_at IS NULL"
            f" AND {_OF_ORIGINS} ORDER BY created_at, jobs.rowid",
            (_json(origins),),
        )
        return await _read(rows)

    async def images(self, job_id: str) -> tuple[ImageRecord, ...]:
        rows = await self._database.rows(
            "SELECT * FROM images WHERE job_id = ? ORDER BY n", (job_id,)
        )
        return tuple(ImageRecord.from_row(row) for row in rows)

    async def usage(self, person: str, now: float, noticed: float | None = None) -> Usage:
        """What `person` has asked for in the day before `now`, in seconds.

        A request in the future, from when the clock was wrong, counts from then on as made at
        `noticed`, or now.
        """
        at, seen = int(now * 1000), int((now if noticed is None else noticed) * 1000)
        since = at - DAY * 1000
        rows = await self._database.rows(ASKED, (since, person))
        if rows and rows[-1]["created_at"] > at:
            await self._database.write(lambda write: write.execute(UNDATE, (seen, person, at)))
            rows = await self._database.rows(ASKED, (since, person))
        return usage_of(rows, self._spent.of(person, since))

    async def last_served(self, people: Collection[str]) -> dict[str, float]:
        """When each of `people` last had a job started, in seconds; omits those who never did."""
        rows = await self._database.rows(
            "SELECT people.value AS person, (SELECT max(started_at) FROM jobs"
            " WHERE person = people.value AND started_at IS NOT NULL) AS started_at"
            " FROM json_each(?) AS people",
            (_json(list(people)),),
        )
        return {row["person"]: row["started_at"] / 1000 for row in rows if row["started_at"]}

    async def painted(self, origins: tuple[str, ...], limit: int = 1_000) -> list[Painted]:
        """The latest `limit` generated jobs, oldest first."""
        rows = await self._database.rows(
            # Earlier versions kept the lane until the job was done, and did not know painted_at.
            "SELECT id, request, started_at, coalesce(painted_at, finished_at) AS painted_at"  # noqa: S608
            " FROM jobs"
            f" WHERE state IN ('done', 'delivered') AND {_OF_ORIGINS}"
            " AND started_at IS NOT NULL AND coalesce(painted_at, finished_at) > started_at"
            " ORDER BY started_at DESC LIMIT ?",
            (_json(origins), limit),
        )
        return [painted for row in reversed(rows) if (painted := Painted.from_row(row))]

    async def failures(self, since: int) -> dict[str, int]:
        """How many jobs have failed since then (ms since the epoch), by the code of the reason."""
        rows = await self._database.rows(
            "SELECT json_extract(error, '$.code') AS code, count(*) AS n FROM jobs"
            " WHERE state = 'failed' AND finished_at >= ? GROUP BY code ORDER BY n DESC",
            (since,),
        )
        return {row["code"] or "": row["n"] for row in rows}

    async def back_up(self, today: date) -> Path | None:
        """See bot.store.backup."""
        return await back_up(self._database, today)

    async def copies_kept_until(self) -> datetime | None:
        """See bot.store.backup.kept_until."""
        return await asyncio.to_thread(kept_until, self._database.path)

    async def has_copies_aside(self) -> bool:
        """See bot.store.backup.aside_of."""
        return bool(await asyncio.to_thread(aside_of, self._database.path))

    async def setting(self, key: str) -> str | None:
        row = await self._database.row("SELECT value FROM settings WHERE key = ?", (key,))
        return row["value"] if row else None

    async def set_setting(self, key: str, value: str) -> None:
        await self._database.write(lambda write: put_setting(write, key, value))

    # Helpers

    async def _transition(
        self, job_id: str, change: str, parameters: tuple[Any, ...]
    ) -> Job | None:
        """`change` is SQL: only the constants above, never user input."""
        sql = f"UPDATE jobs SET {change} AND id = ?"  # noqa: S608
        values = (*parameters, job_id)
        return await self._database.write(
            lambda write: _written(write, job_id) if write.execute(sql, values).rowcount else None
        )


def _written(write: sqlite3.Connection, job_id: str) -> Job:
    """The job as just written. Read in the transaction: a read after the commit could fail."""
    row = write.execute(f"{SELECT_JOBS} WHERE id = ?", (job_id,)).fetchone()
    return Job.from_row(row)


async def _read(rows: Sequence[Row]) -> list[Job]:
    """In another thread: to read thousands takes most of a second."""
    return await asyncio.to_thread(lambda: [Job.from_row(row) for row in rows])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
