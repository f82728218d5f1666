"""Bringing the schema of a database up to date, by numbered scripts in `migrations/`."""

import asyncio
import sqlite3
from pathlib import Path
from uuid import uuid4

import aiosqlite

from bot.errors import StoreError
from bot.store.whole_file import copy, erase_tokens_in, version_of

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATING_MS = 30 * 60 * 1000
"""While another process brings the schema up to date."""
_ONCE = "SELECT iif(user_version < {}, 0, json('not ' || user_version)) FROM pragma_user_version;"
"""Fails, as that is no JSON, where a migration was run: one that rebuilds a table would not fail by
itself, and would undo what came after it."""


async def migrate(connection: aiosqlite.Connection, path: Path, folder: Path) -> None:
    """Run the scripts of `folder` that the database at `path` has not had, each in a transaction.

    It is copied before, unless it is new. Raises StoreError if a newer version has written it.
    """
    scripts = await asyncio.to_thread(read_scripts, folder)
    version = await _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer version (schema {version}, this one knows "
            f"{len(scripts)}); update the bot, or move the file away to start with a new one",
            lasting=True,
        )
    if 0 < version < len(scripts):
        await keep_as_it_was(path, version)
    # Dropping a table to rebuild it would cascade to rows that refer to it (SQLite docs,
    # lang_altertable).
    await connection.execute("PRAGMA foreign_keys = OFF")
    if version < len(scripts):
        # Another process may be at it, which takes as long as the file is large.
        await connection.execute(f"PRAGMA busy_timeout = {MIGRATING_MS}")
    for number, sql in enumerate(scripts[version:], start=version + 1):
        steps = (_ONCE.format(number), sql, f"PRAGMA user_version = {number};")
        try:
            await connection.executescript("\n".join(("BEGIN IMMEDIATE;", *steps, "COMMIT;")))
        except sqlite3.Error:
            if connection.in_transaction:
                await connection.rollback()
            # Another process that started at the same time may have run this migration.
            if await _version(connection) < number:
                raise
    await connection.execute("PRAGMA foreign_keys = ON")


async def keep_as_it_was(path: Path, version: int) -> None:
    """Copy the database before its schema changes, in case of a return to an older version."""
    target = path.with_name(f"{path.stem}-schema-{version}{path.suffix}")
    if await asyncio.to_thread(target.exists):
        return
    # A unique name keeps this atomic even if several processes start at the same time.
    part = target.with_name(f"{target.name}.{uuid4().hex[:8]}.part")
    try:
        await asyncio.to_thread(copy, path, part)
        await asyncio.to_thread(erase_tokens_in, part)
        # Another process that started at the same time may have copied it, and migrated it since.
        as_it_was = await asyncio.to_thread(version_of, part) == version
        if as_it_was and not await asyncio.to_thread(target.exists):
            await asyncio.to_thread(part.replace, target)
    finally:
        for left in (part, part.with_name(f"{part.name}-journal")):
            await asyncio.to_thread(left.unlink, missing_ok=True)


async def _version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


def read_scripts(folder: Path) -> list[str]:
    """The migrations in order, numbered 0001, 0002, … without gaps.

    Raises StoreError if there is a gap.
    """
    scripts = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    for number, script in enumerate(scripts, start=1):
        if not script.name.startswith(f"{number:04}_"):
            raise StoreError(f"{script}: expected migration {number:04} here")
    return [script.read_text(encoding="utf-8") for script in scripts]
