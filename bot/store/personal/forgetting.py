"""What people asked to have forgotten, from the request to the last trace of it."""

import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from bot.store.acts import Acts
from bot.store.database import Database, Row
from bot.store.input_paths import INPUT_PATHS
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
           {}), '[]') AS inputs
FROM jobs
""".format(", ".join(map("json_extract(request, '{}')".format, INPUT_PATHS)))  # noqa: S608
_ENDED: Final = (
    "((state = 'delivered' OR state IN ('failed', 'cancelled')"
    " AND (told_at IS NOT NULL OR coalesce(finished_at, created_at) < :before))"
    " AND id NOT IN (SELECT value FROM json_each(:sending)))"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """To whoever asked. good_to: until when Discord takes changes of it with the token, in ms."""

    token: str = field(repr=False)
    good_to: int
    locale: str

    @property
    def alive(self) -> bool:
        return now_ms() < self.good_to


@dataclass(frozen=True, slots=True)
class Removable:
    """A message to delete. token: reaches it until good_to, in ms since the epoch; None if none
    does any more. by_token: whether nothing else may. asked: whether someone is forgotten by it."""

    channel_id: int
    message_id: int
    token: str | None = field(repr=False)
    by_token: bool
    good_to: int = 0
    asked: bool = False

    @classmethod
    def from_row(cls, row: Row) -> Self:
        alive = row["good_to"] is not None and row["good_to"] > now_ms()
        token = row["token"] if alive else None
        return cls(
            row["channel_id"],
            row["message_id"],
            token,
            row["reach"] != "channel",
            row["good_to"] or 0,
            row["asked"] is not None,
        )


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What `person` asked to have forgotten. hand_over: see erase_rest. asked_at: in ms.

    answer: where they are told that it is done; None if they are not.
    """

    id: str
    person: str
    span: Span
    hand_over: bool
    asked_at: int
    answer: Answer | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            id=row["id"],
            person=row["person"],
            span=Span(row["since"], row["until"]),
            hand_over=bool(row["hand_over"]),
            asked_at=row["asked_at"],
            answer=row["token"] and Answer(row["token"], row["good_to"], row["locale"]),
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

    def __init__(self, database: Database, spent: Spent, acts: Acts) -> None:
        self._database = database
        self._acts = acts
        self._spent = spent

    async def begin(
        self, person: str, span: Span, *, hand_over: bool, answer: Answer | None = None
    ) -> Forgetting:
        """Keep the request until it is carried out, whatever happens to the process."""
        request = Forgetting(new_id(), person, span, hand_over, now_ms(), answer)
        values = (request.id, person, span.since, span.until, hand_over, request.asked_at)
        answered = (answer.token, answer.good_to, answer.locale) if answer else (None, None, None)
        await self._database.write(
            lambda write: write.execute(
                "INSERT INTO forgettings (id, person, since, until, hand_over, asked_at,"
                " token, good_to, locale) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, *answered),
            )
        )
        return request

    async def concerns(self, job: Job) -> bool:
        """Whether `job` is to be forgotten."""
        row = await self._database.row(
            "SELECT 1 FROM forgettings WHERE person = ? AND since <= ? AND until > ?",
            (job.person, job.created_at, job.created_at),
        )
        return row is not None

    async def waiting(self) -> list[Forgetting]:
        """Those that are not carried out, oldest first."""
        rows = await self._database.rows("SELECT * FROM forgettings ORDER BY asked_at, id")
        return [Forgetting.from_row(row) for row in rows]

    async def open_jobs(self, request: Forgetting, sending: Collection[str] = ()) -> list[Job]:
        """The jobs that cannot be erased yet: they wait, run, or are being delivered.

        sending: those whose end is being sent to Discord.
        """
        rows = await self._database.rows(
            f"{SELECT_JOBS} WHERE {_OF} AND NOT {_ENDED} ORDER BY created_at DESC",
            self._values(request, sending),
        )
        return [Job.from_row(row) for row in rows]

    async def erasable(self, request: Forgetting, sending: Collection[str] = ()) -> list[Erasable]:
        """Up to PAGE jobs to erase next, latest first: what was made from a job comes before it.

        sending: see open_jobs.
        """
        rows = await self._database.rows(
            f"{_ERASABLE} WHERE {_OF} AND {_ENDED}"
            f" ORDER BY created_at DESC, rowid DESC LIMIT {PAGE}",
            self._values(request, sending),
        )
        return [Erasable.from_row(row) for row in rows]

    async def outdated(self, before: int, stuck: Collection[str] = ()) -> list[Erasable]:
        """Up to PAGE jobs from before that time, in ms, that are no one's favourite.

        stuck: those that cannot be erased now.
        """
        rows = await self._database.rows(
            f"{_ERASABLE} WHERE state IN ('delivered', 'failed', 'cancelled')"  # noqa: S608
            " AND created_at < ? AND person != ''"
            " AND id NOT IN (SELECT value FROM json_each(?))"
            " AND NOT EXISTS (SELECT 1 FROM favourites WHERE job_id = id)"
            f" ORDER BY created_at LIMIT {PAGE}",
            (before, json.dumps(list(stuck))),
        )
        return [Erasable.from_row(row) for row in rows]

    async def erase(
        self, jobs: Sequence[Erasable], *, messages: bool = True, asked: str | None = None
    ) -> None:
        """Delete the rows of jobs, whose files are gone. messages: whether those with the results
        are to be deleted as well. asked: ID of the request that waits for it."""
        ids = [job.job_id for job in jobs]
        inputs = [sha256 for job in jobs for sha256 in job.inputs]

        def work(write: sqlite3.Connection) -> None:
            since = now_ms() - DAY * 1000
            spent = write.execute(ASKED_BY_JOBS, (since, json.dumps(ids))).fetchall()
            self._spent.add(spent, since)
            erase_jobs(write, ids, inputs, messages=messages, asked=asked)
            erase_remnants(write)
            _leave_traces(write)

        await self._database.write(work)
        self._acts.recorded()

    async def finish(self, request: Forgetting) -> None:
        """Delete all else of the person, and the request itself."""

        def work(write: sqlite3.Connection) -> None:
            erase_rest(write, request.person, request.span, hand_over=request.hand_over)
            erase_remnants(write)
            write.execute("DELETE FROM forgettings WHERE id = ?", (request.id,))
            _leave_traces(write)

        await self._database.write(work)
        self._acts.recorded()

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

    async def messages(self, limit: int) -> list[Removable]:
        """Up to `limit` messages to delete on Discord by now: first those that were tried least
        often, of these the latest."""
        rows = await self._database.rows(
            "SELECT * FROM forgotten_messages WHERE refused = 0 AND due_at <= ?"
            " ORDER BY tries, message_id DESC LIMIT ?",
            (now_ms(), limit),
        )
        return [Removable.from_row(row) for row in rows]

    async def add_message(self, channel_id: int, message_id: int) -> None:
        """Have a message deleted that became known after its job was erased or deleted."""
        await self._database.write(
            lambda write: write.execute(
                "INSERT OR IGNORE INTO forgotten_messages (message_id, channel_id) VALUES (?, ?)",
                (message_id, channel_id),
            )
        )

    async def drop_message(self, message_id: int) -> None:
        """The message is deleted, or need not be any more."""

        def work(write: sqlite3.Connection) -> None:
            for table in ("forgotten_messages", "sent_again"):
                write.execute(f"DELETE FROM {table} WHERE message_id = ?", (message_id,))  # noqa: S608

        await self._database.write(work)

    async def refuse_message(self, message_id: int) -> None:
        """Discord does not let us delete the message; whoever waits for it is told, and reports
        that were decided so say it."""
        values = {"message": message_id}

        def work(write: sqlite3.Connection) -> None:
            write.execute(
                "UPDATE reports SET shown = 1 WHERE decision = 'deleted' AND job_id IN"
                " (SELECT job_id FROM discord_jobs WHERE message_id = :message"
                " UNION SELECT job_id FROM sent_again WHERE message_id = :message)",
                values,
            )
            write.execute(
                "UPDATE forgotten_messages SET refused = 1, token = NULL"
                " WHERE message_id = :message",
                values,
            )
            write.execute(
                "DELETE FROM forgotten_messages WHERE message_id = :message AND asked IS NULL",
                values,
            )

        await self._database.write(work)

    async def postpone_message(self, message_id: int) -> None:
        """Discord could not be reached for the message: the others come first."""
        await self._database.write(
            lambda write: write.execute(
                "UPDATE forgotten_messages SET tries = tries + 1 WHERE message_id = ?",
                (message_id,),
            )
        )

    async def outcome(self, request_id: str) -> tuple[int, int]:
        """How many messages of a request are still to be deleted, and how many that others can
        see Discord does not let us delete."""
        row = await self._database.row(
            "SELECT coalesce(sum(NOT refused), 0) AS to_do,"
            " coalesce(sum(refused AND reach != 'hidden'), 0) AS stay"
            " FROM forgotten_messages WHERE asked = ?",
            (request_id,),
        )
        return (row["to_do"], row["stay"]) if row else (0, 0)

    async def settle(self, request_id: str | None = None) -> None:
        """Nobody waits for the messages of that request any more; None: of any that is carried
        out."""
        who = "asked = :asked" if request_id else "asked NOT IN (SELECT id FROM forgettings)"

        def work(write: sqlite3.Connection) -> None:
            sql = f"UPDATE forgotten_messages SET asked = NULL WHERE {who}"  # noqa: S608
            write.execute(sql, {"asked": request_id})
            write.execute("DELETE FROM forgotten_messages WHERE refused = 1 AND asked IS NULL")

        await self._database.write(work)

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
    def _values(request: Forgetting, sending: Collection[str]) -> dict[str, int | str]:
        return {
            "person": request.person,
            "since": request.span.since,
            "until": request.span.until,
            "before": now_ms() - TOLD_WITHIN_MS,
            "sending": json.dumps(list(sending)),
        }


def _leave_traces(write: sqlite3.Connection) -> None:
    write.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
        " SET value = iif(value = '', excluded.value, value)",
        (TRACES, str(now_ms())),
    )
