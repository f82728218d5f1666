"""The words and patterns that servers and the owner have blocked."""

import sqlite3
from dataclasses import dataclass, field
from typing import Final, Self

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

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, community: str) -> list[BlockedWord]:
        """In the order of the texts."""
        rows = await self._database.rows(
            "SELECT * FROM blocked_words WHERE community = ? ORDER BY kind, text", (community,)
        )
        return [BlockedWord.from_row(row) for row in rows]

    async def add(
        self, community: str, text: str, *, kind: str, action: str, by: str, most: int
    ) -> bool:
        """Block it, or change what is done about it; False if there are `most` of the kind."""
        now = now_ms()

        def insert(write: sqlite3.Connection) -> bool:
            [count] = write.execute(
                "SELECT count(*) FROM blocked_words WHERE community = ? AND kind = ? AND text <> ?",
                (community, kind, text),
            ).fetchone()
            if count >= most:
                return False
            write.execute(
                "INSERT INTO blocked_words (community, text, kind, action, added_by, added_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET action = excluded.action, added_by = excluded.added_by,"
                " added_at = excluded.added_at",
                (community, text, kind, action, by, now),
            )
            return True

        return await self._database.write(insert)

    async def remove(self, community: str, text: str, *, kind: str) -> bool:
        """Whether it was blocked."""
        async with self._database.transaction() as write:
            cursor = await write.execute(
                "DELETE FROM blocked_words WHERE community = ? AND kind = ? AND text = ?",
                (community, kind, text),
            )
            return cursor.rowcount > 0
