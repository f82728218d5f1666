"""Reports of results: who reported what and why, and what became of it."""

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bot.store.acts import ActKind, Acts, Detail, insert_act
from bot.store.blocks import insert_block
from bot.store.database import Database, Row
from bot.store.deletions import BEGIN
from bot.store.history.index import remove
from bot.store.jobs import Job, new_id, now_ms
from bot.store.origins import Discord
from bot.store.removals import BY_HAND_MS, note_messages


class Decision(StrEnum):
    DELETED = "deleted"
    BLOCKED = "blocked"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True)
class Report:
    """reporter, decided_by: people as of a job. decision: None while it is open. shown: whether the
    image was deleted, but a message that shows it could not be taken down. Times in ms."""

    id: str
    job_id: str
    reporter: str
    reason: str
    made_at: int
    decision: Decision | None = None
    decided_by: str | None = None
    decided_at: int | None = None
    shown: bool = False

    @classmethod
    def from_row(cls, row: Row) -> Self:
        decision = row["decision"]
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            reporter=row["reporter"],
            reason=row["reason"],
            made_at=row["made_at"],
            decision=None if decision is None else Decision(decision),
            decided_by=row["decided_by"],
            decided_at=row["decided_at"],
            shown=bool(row["shown"]),
        )


class Reports:
    """Every report and decision is recorded as an act, in the same transaction."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def add(self, job: Job, reporter: str, reason: str, shown: Discord | None = None) -> bool:
        """Keep a report; returns False if that person has reported the result before.

        shown: where it was seen, if that is another server, whose moderators are told.
        """
        report_id = new_id()
        values = (report_id, job.id, reporter, reason, now_ms())

        def insert(write: sqlite3.Connection) -> bool:
            cursor = write.execute(
                "INSERT INTO reports (id, job_id, reporter, reason, made_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                values,
            )
            if cursor.rowcount:
                details: dict[str, Detail] = {"report": report_id}
                community = job.community
                if shown is not None:
                    community = shown.community
                    details |= {"channel": shown.channel_id, "message": shown.message_id}
                insert_act(write, ActKind.REPORTED, reporter, community, job.id, details)
            return bool(cursor.rowcount)

        return await self._done(await self._database.write(insert))

    async def made(self, job_id: str, reporter: str) -> bool:
        """Whether that person has reported the result."""
        sql = "SELECT 1 FROM reports WHERE job_id = ? AND reporter = ?"
        return await self._database.row(sql, (job_id, reporter)) is not None

    async def find(self, report_id: str) -> Report | None:
        row = await self._database.row("SELECT * FROM reports WHERE id = ?", (report_id,))
        return Report.from_row(row) if row else None

    async def decide(
        self,
        report: Report,
        job: Job,
        decision: Decision,
        *,
        actor: str,
        within: str,
        channels: Collection[int] = (),
    ) -> bool:
        """Decide an open report; returns False if someone was faster. The image of someone who was
        blocked for it can still be deleted.

        A result that is to be deleted is marked as such, as by `Deletions.begin`, and settles all
        reports of it. Whoever asked for it is blocked, if that is decided. job: of the report.
        within: the server to block in, or everywhere. channels: deleting means only the messages
        in these, in which it was shown again.
        """
        now, whole = now_ms(), not channels

        def update(write: sqlite3.Connection) -> bool:
            sql = (
                "UPDATE reports SET decision = ?1, decided_by = ?2, decided_at = ?3"
                " WHERE (decision IS NULL OR decision = 'blocked' AND ?1 = 'deleted') AND"
            )
            cursor = write.execute(f"{sql} id = ?4", (decision, actor, now, report.id))
            if not cursor.rowcount:
                return False
            if decision is Decision.DELETED and whole:
                write.execute(f"{sql} job_id = ?4", (decision, actor, now, job.id))
                if write.execute(BEGIN, (now, job.id)).rowcount:
                    note_messages(write, [job.id], due_at=now + BY_HAND_MS)
                remove(write, [job.id])
            elif decision is Decision.DELETED:
                due_at = now + BY_HAND_MS
                note_messages(write, [job.id], due_at=due_at, channels=channels)
            elif decision is Decision.BLOCKED:
                insert_block(write, "person", job.person, within, actor)
            details = {"report": report.id, "decision": decision.value}
            community = job.community if whole else within
            insert_act(write, ActKind.REPORT_DECIDED, actor, community, job.id, details)
            return True

        return await self._done(await self._database.write(update))

    async def count_open(self) -> int:
        row = await self._database.row("SELECT count(*) AS n FROM reports WHERE decision IS NULL")
        return int(row["n"]) if row else 0

    async def _done(self, changed: bool) -> bool:
        if changed:
            self._acts.recorded()
        return changed
