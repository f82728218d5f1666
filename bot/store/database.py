"""Database: one SQLite file, one writer, numbered migrations.

All writes go through `transaction()` or `write()`, so there is one transaction at a time. Reads use
a separate connection, so they never see uncommitted data.

A file that was replaced, moved or deleted stays open: what is written goes nowhere then. Each write
checks that its file is still the one in place, see bot.store.place.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self, TypeGuard, TypeVar
from uuid import uuid4

import aiosqlite

from bot.errors import StoreError
from bot.store.faults import store_error
from bot.store.place import Displaced, Place, saved_aside
from bot.store.together import Work, Writer

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
BUSY_MS = 1_000
"""Short, because Discord must be answered within three seconds, even if the database is locked."""
OPENING_MS = 5_000
"""During opening, another process may be migrating the schema."""
MIGRATING_MS = 30 * 60 * 1000
"""While another process brings the schema up to date."""
LOOKED_OVER_MAX = 64 * 1024**2
"""Bytes of a file that is looked over for damage before anything else is done with it. Larger ones
take seconds, and are looked over once the bot is online."""
PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Overwrite erased tokens on disk instead of only unlinking them.
    "PRAGMA secure_delete = ON",
)
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
Parameters = Sequence[Any] | Mapping[str, Any]
T = TypeVar("T")


class Database:
    """An open database. Use as `async with Database.open(path) as database`.

    displaced: whether its file was found to be no longer in place.
    """

    def __init__(
        self,
        path: Path,
        place: Place,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        together: Writer,
        *,
        looked_over: bool,
    ) -> None:
        self.path = path
        self.displaced = False
        self._place = place
        self._saved = False
        self._looked_over = looked_over
        self._writer = writer
        self._reader = reader
        self._together = together
        self._lock = together.lock

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, migrations: Path = MIGRATIONS) -> AsyncIterator[Self]:
        """Open or create `path` and bring its schema up to date.

        Raises StoreError if SQLite is too old, the file comes from a newer version, or it cannot
        be opened.
        """
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 or newer is needed")
        # An unclosed aiosqlite connection keeps its thread running, and the process never exits.
        async with AsyncExitStack() as stack:
            try:
                await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
                writer = await stack.enter_async_context(_connect(path))
                await _migrate(writer, path, migrations)
                reader = await stack.enter_async_context(_connect(path))
                await reader.execute("PRAGMA query_only = ON")
                large = (await asyncio.to_thread(path.stat)).st_size > LOOKED_OVER_MAX
                if not large:
                    await asyncio.to_thread(_look_over, path)
                for connection in (writer, reader):
                    await connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                place = await asyncio.to_thread(Place.of, path)
                pragmas = (*PRAGMAS, f"PRAGMA busy_timeout = {BUSY_MS}")
                together = await stack.enter_async_context(Writer.open(path, pragmas, place.check))
            except (OSError, sqlite3.Error) as error:
                raise store_error(path, error) from error
            yield cls(path, place, writer, reader, together, looked_over=not large)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One write transaction: committed when the block ends, rolled back when it raises.

        Cancelling the caller never interrupts BEGIN, COMMIT or ROLLBACK: aiosqlite runs a
        statement even after the task that awaited it is gone, so each is awaited to its end.

        Raises StoreError if the disk or the file prevents the write, or if it would go into a file
        that is no longer in place.
        """
        async with self._lock:
            try:
                await _undisturbed(self._writer.execute("BEGIN IMMEDIATE"))
                yield self._writer
                await self._check_place()
                await _undisturbed(self._writer.commit())
            except BaseException as error:
                # A failed commit (full disk) also leaves its transaction open.
                if self._writer.in_transaction:
                    await _undisturbed(self._writer.rollback())
                if self.displaced and not self._saved:
                    self._saved = True
                    await self._save_aside()
                if _is_the_disks(error):
                    raise store_error(self.path, error) from error
                raise

    async def check(self) -> None:
        """Raise StoreError if the file is no longer in place, even if nothing is being written."""
        async with self.transaction():
            pass

    async def _check_place(self) -> None:
        wrong = await asyncio.to_thread(self._place.what_is_wrong)
        if wrong is None:
            if self.displaced:
                log.warning("%s: the file is in place again", self.path)
                self.displaced = self._saved = False
            return
        error = StoreError(
            f"{self.path}: {wrong} while the bot was running, so nothing can be stored; restart "
            "the bot, which then goes on with what is there",
            lasting=True,
        )
        if not self.displaced:
            log.critical("%s", error)
        self.displaced = True
        raise error

    async def _save_aside(self) -> None:
        if (aside := await saved_aside(self._writer, self.path)) is not None:
            log.critical("%s: what it had is now in %s", self.path, aside)
            await asyncio.to_thread(self._place.leave)

    async def write(self, work: Work[T]) -> T:
        """Run `work` on the connection in a write transaction, in another thread and in one step.

        For what happens many times a second: calls that wait for their turn share one transaction,
        and so wait for the disk once. If `work` raises, only its own changes are undone. A
        cancelled caller is told once its write has ended, one way or the other.

        Raises StoreError if the disk or the file prevents the write, for all that shared it, or if
        it would go into a file that is no longer in place.
        """
        try:
            result = await _undisturbed(self._together.write(work))
            if self.displaced:
                await self._check_place()
            return result
        except Displaced as error:
            await self.check()
            # It is in place again by now.
            raise StoreError(f"{self.path}: {error} for a moment; try again") from error
        except sqlite3.DatabaseError as error:
            if _is_the_disks(error):
                raise store_error(self.path, error) from error
            raise

    async def look_over(self) -> None:
        """Find damage in a file that was too large to be looked over while it was opened.

        Takes seconds, on a connection of its own. Raises StoreError.
        """
        if self._looked_over:
            return
        try:
            await asyncio.to_thread(_look_over, self.path)
        except sqlite3.Error as error:
            raise store_error(self.path, error) from error
        self._looked_over = True

    async def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        rows = await self.rows(sql, parameters)
        return rows[0] if rows else None

    async def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        # Fetch everything in one call: a half-read cursor would hold this connection on an old
        # snapshot, and other coroutines would miss rows that were just committed.
        try:
            return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.DatabaseError as error:
            if _is_the_disks(error):
                raise store_error(self.path, error) from error
            raise

    async def copy_to(self, target: Path) -> None:
        """Write a consistent snapshot of the whole database to the new file `target`."""
        try:
            # On a separate connection, so that readers do not wait for it.
            await asyncio.to_thread(_copy, self.path, target)
        except sqlite3.Error as error:
            raise store_error(target, error) from error

    async def rewrite(self) -> None:
        """Rewrite the file without its free space, and empty its log.

        `secure_delete` overwrites what is deleted, but not the copies that SQLite leaves in a page
        when it moves rows to another. Writes wait meanwhile, on an idle
        machine; reads do not. Raises StoreError if there is no room, or the file is in use.
        """
        async with self._lock:
            try:
                await _undisturbed(asyncio.to_thread(_rewrite, self.path))
            except sqlite3.Error as error:
                raise store_error(self.path, error) from error


def _is_the_disks(error: BaseException) -> TypeGuard[sqlite3.DatabaseError]:
    """Whether the disk or the file caused the error, rather than the statement."""
    name = getattr(error, "sqlite_errorname", None) or ""
    return isinstance(error, sqlite3.DatabaseError) and name.startswith(DISK_ERRORS)


async def _undisturbed(step: Coroutine[Any, Any, T]) -> T:
    """Await `step` to its end even if cancelled meanwhile, then re-raise the cancellation."""
    task = asyncio.ensure_future(step)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # mark as retrieved, or asyncio logs it
        raise cancelled
    return task.result()


@asynccontextmanager
async def _connect(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        connection.row_factory = sqlite3.Row
        await connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        await _write_ahead(connection)
        for pragma in PRAGMAS:
            await connection.execute(pragma)
        yield connection


async def _write_ahead(connection: aiosqlite.Connection) -> None:
    """Retries: if two processes do this to a new file at once, SQLite fails one without waiting."""
    for pause in (0.05, 0.1, 0.2, 0.4, 0.8, None):
        try:
            async with connection.execute("PRAGMA journal_mode = WAL"):
                return
        except sqlite3.OperationalError:
            if pause is None:
                raise
            await asyncio.sleep(pause)


def _look_over(path: Path) -> None:
    """Find damage before a job's row is read. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        [said] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(f"malformed: {said}")


async def _migrate(connection: aiosqlite.Connection, path: Path, folder: Path) -> None:
    scripts = await asyncio.to_thread(read_scripts, folder)
    version = await _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer version (schema {version}, this one knows "
            f"{len(scripts)}); update the bot, or move the file away to start with a new one",
            lasting=True,
        )
    if 0 < version < len(scripts):
        await _keep_as_it_was(path, version)
    # Dropping a table to rebuild it would cascade to rows that refer to it (SQLite docs,
    # lang_altertable).
    await connection.execute("PRAGMA foreign_keys = OFF")
    if version < len(scripts):
        # Another process may be at it, which takes as long as the file is large.
        await connection.execute(f"PRAGMA busy_timeout = {MIGRATING_MS}")
    for number, sql in enumerate(scripts[version:], start=version + 1):
        try:
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                await connection.rollback()
            # Another process that started at the same time may have run this migration.
            if await _version(connection) < number:
                raise
    await connection.execute("PRAGMA foreign_keys = ON")


def _copy(path: Path, target: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {OPENING_MS}")
        connection.execute("VACUUM INTO ?", (str(target),))


def _rewrite(path: Path) -> None:
    """Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (*PRAGMAS, f"PRAGMA busy_timeout = {OPENING_MS}"):
            connection.execute(pragma)
        connection.execute("VACUUM")
        # What was there before is also in the log, until that is emptied.
        [busy] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[:1]
        if busy:
            raise sqlite3.OperationalError("database is locked")


def erase_tokens_in(copy: Path) -> None:
    """Delete interaction tokens, which are secrets, from a copy of the database to be kept."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        named = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        if connection.execute(named, ("tokens",)).fetchone():
            connection.execute("DELETE FROM tokens")
        for table in ("forgettings", "forgotten_messages"):
            if connection.execute(named, (table,)).fetchone():
                connection.execute(f"UPDATE {table} SET token = NULL")  # noqa: S608


async def _keep_as_it_was(path: Path, version: int) -> None:
    """Copy the database before its schema changes, in case of a return to an older version."""
    target = path.with_name(f"{path.stem}-schema-{version}{path.suffix}")
    if await asyncio.to_thread(target.exists):
        return
    # A unique name keeps this atomic even if several processes start at the same time.
    part = target.with_name(f"{target.name}.{uuid4().hex[:8]}.part")
    try:
        await asyncio.to_thread(_copy, path, part)
        await asyncio.to_thread(erase_tokens_in, part)
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
