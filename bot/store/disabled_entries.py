"""Entries of the catalog that the owner switched off while the bot ran."""

import sqlite3
from typing import cast

from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database
from bot.store.jobs import now_ms
from catalog import EntryKind


class DisabledEntries:
    """Every change is recorded as an act, in the same transaction.

    name: the key in the catalog.
    """

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def all(self) -> list[tuple[EntryKind, str]]:
        """The kind and name of each."""
        rows = await self._database.rows("SELECT kind, name FROM disabled_entries")
        return [(cast("EntryKind", row["kind"]), row["name"]) for row in rows]

    async def disable(self, kind: EntryKind, name: str, actor: str) -> bool:
        """Returns False if it was disabled already."""
        sql = (
            "INSERT INTO disabled_entries (kind, name, actor, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING"
        )
        values = (kind, name, actor, now_ms())
        return await self._change(sql, values, ActKind.ENTRY_DISABLED, kind, name, actor)

    async def enable(self, kind: EntryKind, name: str, actor: str) -> bool:
        """Returns False if it was not disabled."""
        sql = "DELETE FROM disabled_entries WHERE kind = ? AND name = ?"
        return await self._change(sql, (kind, name), ActKind.ENTRY_ENABLED, kind, name, actor)

    async def _change(
        self,
        sql: str,
        values: tuple[str | int, ...],
        act: ActKind,
        kind: EntryKind,
        name: str,
        actor: str,
    ) -> bool:
        def change(write: sqlite3.Connection) -> bool:
            changed = bool(write.execute(sql, values).rowcount)
            if changed:
                insert_act(write, act, actor, None, name, {"what": kind})
            return changed

        changed = await self._database.write(change)
        if changed:
            self._acts.recorded()
        return changed
