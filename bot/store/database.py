"""Database: one SQLite file, one writer, numbered migrations.

Writes share one connection and therefore one transaction at a time; `transaction()` is the only way
to write. Reads use a connection of their own, so they never see what is not committed.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self, TypeGuard
from uuid import uuid4

import aiosqlite

from bot.errors import StoreError
from bot.store.faults import store_error

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
BUSY_MS = 1_000
"""Whoever asks in Discord is told of a locked database within three seconds, or nothing at all."""
OPENING_MS = 5_000
"""While it is opened: another process that opens it too may be changing its schema."""
DISK_ERRORS = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_PERM",
    "SQLITE_CANTOPEN",
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
)

Row = sqlite3.Row


class Database:
    """An open database. Use as `async with Database.open(path) as database`."""

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._lock = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, migrations: Path = MIGRATIONS) -> AsyncIterator[Self]:
        """Open or create `path` and bring its schema up to date.

        Raises StoreError when SQLite is too old, the file is from a newer version, or it cannot
        be opened.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 or newer is needed")
        # aiosqlite's threads outlive the loop unless closed, and then the process never exits.
        async with AsyncExitStack() as stack:
            try:
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                writer = await stack.enter_async_context(_connect(path))
                await _migrate(writer, path, migrations)
                reader = await stack.enter_async_context(_connect(path))
                await reader.execute("PRAGMA query_only = ON")
                await _look_over(reader, path)
                for connection in (writer, reader):
                    await connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            except (OSError, sqlite3.Error) as error:
                raise store_error(path, error) from error
            yield cls(path, writer, reader)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One write transaction: committed when the block ends, rolled back when it raises.

        Neither BEGIN nor COMMIT nor ROLLBACK is ever left half done by a cancelled caller:
        aiosqlite runs a statement even if the task that awaited it is gone.

        Raises StoreError when the disk or the file does not let it be written.
        """
        async with self._lock:
            try:
                await _undisturbed(self._writer.execute("BEGIN IMMEDIATE"))
                yield self._writer
                await _undisturbed(self._writer.commit())
            except BaseException as error:
                # A commit that failed (a full disk) leaves its transaction open too.
                if self._writer.in_transaction:
                    await _undisturbed(self._writer.rollback())
                if _is_the_disks(error):
                    raise store_error(self.path, error) from error
                raise

    async def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        rows = await self.rows(sql, parameters)
        return rows[0] if rows else None

    async def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        # In one hop: a cursor that another coroutine has read halfway would keep this connection
        # on its old snapshot, and a row just committed would not be there.
        try:
            return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.DatabaseError as error:
            if _is_the_disks(error):
                raise store_error(self.path, error) from error
            raise

    async def copy_to(self, target: Path) -> None:
        """Write the whole database into the new file `target`, as it is at one moment."""
        try:
            # A connection of its own: whoever reads does not wait for it.
            await asyncio.to_thread(_copy, self.path, target)
        except sqlite3.Error as error:
            raise store_error(target, error) from error


def _is_the_disks(error: BaseException) -> TypeGuard[sqlite3.DatabaseError]:
    """Whether the disk or the file is at fault, not the statement."""
    name = getattr(error, "sqlite_errorname", None) or ""
    return isinstance(error, sqlite3.DatabaseError) and name.startswith(DISK_ERRORS)


async def _undisturbed(step: Coroutine[Any, Any, Any]) -> None:
    """Await `step` to its end, however often cancelled meanwhile, then pass the cancellation on."""
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # seen, or asyncio would log it
        raise cancelled
    task.result()


@asynccontextmanager
async def _connect(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        connection.row_factory = sqlite3.Row
        await connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        await _write_ahead(connection)
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = ON")
        # An erased token is overwritten, not only unlinked.
        await connection.execute("PRAGMA secure_delete = ON")
        yield connection


async def _write_ahead(connection: aiosqlite.Connection) -> None:
    """Of two that do this to a new file at once, SQLite refuses one instead of making it wait."""
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError:
            if pause is None:
                raise
            await asyncio.sleep(pause)


async def _look_over(connection: aiosqlite.Connection, path: Path) -> None:
    """Find damage now, and not when a job's row is needed. Raises StoreError."""
    async with connection.execute("PRAGMA quick_check(1)") as cursor:
        [said] = [row[0] for row in await cursor.fetchall()]
    if said != "ok":
        raise store_error(path, sqlite3.DatabaseError(f"malformed: {said}"))


async def _migrate(connection: aiosqlite.Connection, path: Path, folder: Path) -> None:
    scripts = await asyncio.to_thread(read_scripts, folder)
    version = await _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer version (schema {version}, this one knows "
            f"{len(scripts)}); update the bot, or move the file away to start afresh",
            lasting=True,
        )
    if 0 < version < len(scripts):
        await _keep_as_it_was(path, version)
    # A table that is rebuilt would take with it what refers to it (SQLite docs, lang_altertable).
    await connection.execute("PRAGMA foreign_keys = OFF")
    for number, sql in enumerate(scripts[version:], start=version + 1):
        try:
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                await connection.rollback()
            # Another process that started at the same time may have done it.
            if await _version(connection) < number:
                raise
    await connection.execute("PRAGMA foreign_keys = ON")


def _copy(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        connection.execute("VACUUM INTO ?", (str(target),))


def erase_tokens_in(copy: Path) -> None:
    """Take secrets of a few minutes out of a copy of the database, which is kept for longer."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tokens'").fetchone():
            connection.execute("DELETE FROM tokens")


async def _keep_as_it_was(path: Path, version: int) -> None:
    """A copy from before the schema changes, for going back to an older version of the bot."""
    target = path.with_name(f"{path.stem}-schema-{version}{path.suffix}")
    if await asyncio.to_thread(target.exists):
        return
    # Whole or not there, also when several processes start at the same time.
    part = target.with_name(f"{target.name}.{uuid4().hex[:8]}.part")
    try:
        await asyncio.to_thread(_copy, path, part)
        await asyncio.to_thread(erase_tokens_in, part)
        await asyncio.to_thread(part.replace, target)
    finally:
        await asyncio.to_thread(part.unlink, missing_ok=True)


async def _version(connection: aiosqlite.Connection) -> int:
    async with connection.execute("PRAGMA user_version") as cursor:
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


def read_scripts(folder: Path) -> list[str]:
    """The migrations in order; they are numbered 0001, 0002 … without gaps."""
    scripts = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    for number, script in enumerate(scripts, start=1):
        if not script.name.startswith(f"{number:04}_"):
            raise StoreError(f"{script}: expected migration {number:04} at this place")
    return [script.read_text(encoding="utf-8") for script in scripts]
