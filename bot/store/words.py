"""The words and patterns that servers and the owner have blocked."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from bot.store.acts import ActKind, Acts, Detail, insert_act
from bot.store.database import Database, Row
from bot.store.jobs import now_ms

OWNER: Final = ""
"""Stands for the owner where a community does for a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedWord:
    """text: as it was entered. kind: word or pattern. action: refuse, report or restrict.

    added_by: the person. added_at: in milliseconds.
    """

    text: str = field(repr=False)
    kind: str
    action: str
    added_by: str
    added_at: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(**{key: row[key] for key in row.keys() if key != "community"})  # noqa: SIM118


class Words:
    """By the server that blocks them, or OWNER."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def of(self, community: str) -> list[BlockedWord]:
        """In the order of the texts."""
        rows = await self._database.rows(
            "SELECT * FROM blocked_words WHERE community = ? ORDER BY kind, text", (community,)
        )
        return [BlockedWord.from_row(row) for row in rows]

    async def add(
        self,
        community: str,
        text: str,
        *,
        kind: str,
        action: str,
        by: str,
        most: int,
        act: Mapping[str, Detail],
    ) -> bool | None:
        """Block it, or change what is done about it, and keep that as an act with these details.

        Returns False if nothing changes, None if there are `most` of the kind.
        """
        now = now_ms()

        def insert(write: sqlite3.Connection) -> bool | None:
            known = write.execute(
                "SELECT action FROM blocked_words WHERE community = ? AND kind = ? AND text = ?",
                (community, kind, text),
            ).fetchone()
            if known is not None and known["action"] == action:
                return False
            [count] = write.execute(
                "SELECT count(*) FROM blocked_words WHERE community = ? AND kind = ? AND text <> ?",
                (community, kind, text),
            ).fetchone()
            if count >= most:
                return None
            write.execute(
                "INSERT INTO blocked_words (community, text, kind, action, added_by, added_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET action = excluded.action, added_by = excluded.added_by,"
                " added_at = excluded.added_at",
                (community, text, kind, action, by, now),
            )
            insert_act(write, ActKind.WORDS_CHANGED, by, community or None, None, act)
            return True

        added = await self._database.write(insert)
        if added:
            self._acts.recorded()
        return added

    async def remove(
        self, community: str, text: str, *, kind: str, by: str, act: Mapping[str, Detail]
    ) -> bool:
        """Whether it was blocked. That it is no more is kept as an act with these details."""

        def delete(write: sqlite3.Connection) -> bool:
            cursor = write.execute(
                "DELETE FROM blocked_words WHERE community = ? AND kind = ? AND text = ?",
                (community, kind, text),
            )
            if not cursor.rowcount:
                return False
            insert_act(write, ActKind.WORDS_CHANGED, by, community or None, None, act)
            return True

        removed = await self._database.write(delete)
        if removed:
            self._acts.recorded()
        return removed
