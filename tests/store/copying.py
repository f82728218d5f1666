"""New databases as copies of one that the migrations have made.

To run all of them for each of the thousands of tests that have a database takes minutes.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite

from bot.store.migrating import MIGRATIONS, migrate


class Copying:
    """In the place of `migrate`: for the first new database the bot's own migrations are run."""

    def __init__(self) -> None:
        self._first: bytes | None = None

    async def migrate(self, connection: aiosqlite.Connection, path: Path, folder: Path) -> None:
        if folder != MIGRATIONS or not await _is_new(connection):
            await migrate(connection, path, folder)
            return
        if self._first is None:
            async with aiosqlite.connect(":memory:", isolation_level=None) as first:
                await migrate(first, path, folder)
                self._first = await first._execute(first._conn.serialize)  # type: ignore[no-untyped-call]
        with closing(sqlite3.connect(":memory:", check_same_thread=False)) as copied:
            copied.deserialize(self._first)
            await connection._execute(copied.backup, connection._conn)  # type: ignore[no-untyped-call]
        await connection.execute("PRAGMA foreign_keys = ON")


async def _is_new(connection: aiosqlite.Connection) -> bool:
    async with connection.execute("SELECT 1 FROM sqlite_schema") as cursor:
        return await cursor.fetchone() is None
