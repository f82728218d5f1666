"""Acts: who changed or moderated what, for the audit channel and for looking it up."""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from bot.store.database import Database, Row
from bot.store.jobs import FAULTS, now_ms
from bot.store.settings import put_setting

log = logging.getLogger(__name__)

Detail = str | int | float | bool | None
"""What a detail of an act may be. None is left out."""
PAGE = 20
"""Acts on a page."""
UNTOLD_MAX = 100
"""Acts that are fetched at once to be told."""


class ActKind(StrEnum):
    """What was done."""

    SETTING_CHANGED = "setting_changed"
    PRESET_SHARED = "preset_shared"
    PRESET_DELETED = "preset_deleted"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    QUOTA_RESET = "quota_reset"
    RESULT_DELETED = "result_deleted"
    REPORTED = "reported"
    REPORT_DECIDED = "report_decided"
    ENTRY_ENABLED = "entry_enabled"
    ENTRY_DISABLED = "entry_disabled"
    CATALOG_RELOADED = "catalog_reloaded"
    WORDS_CHANGED = "words_changed"
    WORDS_FOUND = "words_found"
    IMAGE_WITHHELD = "image_withheld"
    MAINTENANCE = "maintenance"
    QUIET_HOURS = "quiet_hours"
    DRAINED = "drained"
    PREVIEWS = "previews"
    SERVER_LEFT = "server_left"
    REPORT_GONE = "report_gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAct:
    """An act that is kept once what it is about is stored. See Act."""

    kind: ActKind
    actor: str
    community: str | None = None
    subject: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict, repr=False)

    def insert(self, write: sqlite3.Connection) -> None:
        """Within a transaction. `Acts.recorded` is to be called after."""
        insert_act(write, self.kind, self.actor, self.community, self.subject, self.details)


@dataclass(frozen=True, slots=True)
class Act:
    """actor: a person as of a job, such as `discord:7`. community: the server that it concerns;
    None for the bot as a whole. subject: the person, server, job or entry that it was done to.
    told_at: when its channel was told, or need not be; None while it is to be told. Times in ms.
    """

    id: int
    at: int
    kind: ActKind
    actor: str
    community: str | None = None
    subject: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)
    told_at: int | None = None

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            id=row["id"],
            at=row["at"],
            kind=ActKind(row["kind"]),
            actor=row["actor"],
            community=row["community"],
            subject=row["subject"],
            details=json.loads(row["details"]),
            told_at=row["told_at"],
        )


class Acts:
    """What was done, and which of it is still to be told.

    An act that cannot be read, such as one of a newer version, is passed over, and logged once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unreadable: set[int] = set()
        self._recorded: Callable[[], None] = lambda: None

    def on_recorded(self, recorded: Callable[[], None]) -> None:
        """Call `recorded`, which must return at once, after each act."""
        self._recorded = recorded

    async def record(
        self,
        *,
        kind: ActKind,
        actor: str,
        community: str | None = None,
        subject: str | None = None,
        setting: tuple[str, str] | None = None,
        **details: Detail,
    ) -> int:
        """Keep an act, to be told; returns its id.

        setting: of the bot, as its key and value, that is changed by it at once. details: never a
        prompt.
        """

        def record(write: sqlite3.Connection) -> int:
            if setting is not None:
                put_setting(write, *setting)
            return insert_act(write, kind, actor, community, subject, details)

        act = await self._database.write(record)
        self.recorded()
        return act

    async def change_setting(
        self, key: str, value: str, *, kind: ActKind, actor: str, **details: Detail
    ) -> bool:
        """Keep `value` under the key of a setting, which is an act; returns False if it was so
        before. A setting that was never kept is ""."""

        def change(write: sqlite3.Connection) -> bool:
            sql = "SELECT value FROM settings WHERE key = ?"
            if (write.execute(sql, (key,)).fetchone() or ("",))[0] == value:
                return False
            put_setting(write, key, value)
            insert_act(write, kind, actor, None, None, details)
            return True

        changed = await self._database.write(change)
        if changed:
            self.recorded()
        return changed

    async def announce(
        self, note_id: str, text: str, actor: str, communities: Sequence[str]
    ) -> bool:
        """Keep a note to these servers, to be told to each once; returns False if it was before.

        note_id: names it.
        """

        def announce(write: sqlite3.Connection) -> bool:
            sql = "SELECT 1 FROM acts WHERE subject = ? AND kind = ?"
            if write.execute(sql, (note_id, ActKind.MAINTENANCE)).fetchone():
                return False
            for community in communities:
                details = {"text": text}
                insert_act(write, ActKind.MAINTENANCE, actor, community, note_id, details)
            return True

        announced = await self._database.write(announce)
        if announced:
            self.recorded()
        return announced

    async def keep(self, acts: Sequence[NewAct]) -> None:
        """Keep those of which there is none yet of the kind, about the same, in that server."""

        def keep(write: sqlite3.Connection) -> bool:
            kept = False
            for act in acts:
                sql = "SELECT 1 FROM acts WHERE subject = ? AND kind = ? AND community IS ?"
                if not write.execute(sql, (act.subject, act.kind, act.community)).fetchone():
                    act.insert(write)
                    kept = True
            return kept

        if not acts:
            return
        kept = await self._database.write(keep)
        if kept:
            self.recorded()

    def recorded(self) -> None:
        """To be called once acts that were inserted with other rows are committed."""
        self._recorded()

    async def page(self, community: str | None, before: int | None = None) -> list[Act]:
        """The PAGE latest acts that concern the server, or the bot as a whole; newest first.

        before: only those with a lower id.
        """
        rows = await self._database.rows(
            "SELECT * FROM acts WHERE community IS ? AND id < ? ORDER BY id DESC LIMIT ?",
            (community, 2**62 if before is None else before, PAGE),
        )
        return self._readable(rows)

    async def untold(self, after: int = 0, *, maintenance: bool = False) -> list[Act]:
        """Up to UNTOLD_MAX acts that are to be told, with an id above `after`, oldest first.

        maintenance: whether those are wanted that are notes to all servers, or all others.
        """
        sql = (
            "SELECT * FROM acts WHERE told_at IS NULL AND id > ? AND (kind = ?) = ?"
            " ORDER BY id LIMIT ?"
        )
        kind = ActKind.MAINTENANCE
        while rows := await self._database.rows(sql, (after, kind, maintenance, UNTOLD_MAX)):
            if acts := self._readable(rows):
                return acts
            after = rows[-1]["id"]
        return []

    def _readable(self, rows: Sequence[Row]) -> list[Act]:
        acts = []
        for row in rows:
            try:
                acts.append(Act.from_row(row))
            except FAULTS as error:
                if row["id"] not in self._unreadable:
                    log.error("act %d cannot be read (%s)", row["id"], type(error).__name__)
                self._unreadable.add(row["id"])
        return acts

    async def count_untold(self) -> int:
        row = await self._database.row("SELECT count(*) AS n FROM acts WHERE told_at IS NULL")
        return int(row["n"]) if row else 0

    async def tell(self, act_id: int) -> None:
        """The act was told, or there is nobody to tell."""
        values = (now_ms(), act_id)
        await self._database.write(
            lambda write: write.execute(
                "UPDATE acts SET told_at = ? WHERE id = ? AND told_at IS NULL", values
            )
        )


def insert_act(
    write: sqlite3.Connection,
    kind: ActKind,
    actor: str,
    community: str | None,
    subject: str | None,
    details: Mapping[str, Detail],
) -> int:
    """Within a transaction: keep an act; returns its id. `Acts.recorded` is to be called after."""
    given = {name: value for name, value in details.items() if value is not None}
    cursor = write.execute(
        "INSERT INTO acts (at, community, actor, kind, subject, details) VALUES (?, ?, ?, ?, ?, ?)",
        (now_ms(), community, actor, kind, subject, json.dumps(given, ensure_ascii=False)),
    )
    assert cursor.lastrowid is not None  # noqa: S101 – SQLite sets it after an INSERT
    return cursor.lastrowid
