"""Database: one SQLite file, one writer, numbered migrations.

All writes go through `write()`, so there is one transaction at a time. Reads use a separate
connection, so they never see uncommitted data.

A file that was replaced, moved or deleted stays open: what is written goes nowhere then. Each write
checks that its file is still the one in place, see bot.store.place.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeGuard, TypeVar

import aiosqlite

from bot.errors import StoreError
from bot.store.faults import store_error
from bot.store.migrating import MIGRATIONS, migrate
from bot.store.place import Displaced, Place, saved_aside
from bot.store.together import Work, Writer
from bot.store.whole_file import OPENING_MS, PRAGMAS, copy, look_over, rewrite

log = logging.getLogger(__name__)

OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
BUSY_MS = 1_000
"""Short, because Discord must be answered within three seconds, even if the database is locked."""
LOOKED_OVER_MAX = 64 * 1024**2
"""Bytes of a file that is looked over for damage before anything else is done with it. Larger ones
take seconds, and are looked over once the bot is online."""
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
        reader: aiosqlite.Connection,
        writer: Writer,
        *,
        looked_over: bool,
    ) -> None:
        self.path = path
        self.displaced = False
        self._place = place
        self._looked_over = looked_over
        self._reader = reader
        self._writer = writer

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
                reader = await stack.enter_async_context(_connect(path))
                await migrate(reader, path, migrations)
                await reader.execute("PRAGMA query_only = ON")
                await reader.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
                large = (await asyncio.to_thread(path.stat)).st_size > LOOKED_OVER_MAX
                if not large:
                    await asyncio.to_thread(look_over, path)
                place = await asyncio.to_thread(Place.of, path)
                pragmas = (*PRAGMAS, f"PRAGMA busy_timeout = {BUSY_MS}")
                writer = await stack.enter_async_context(Writer.open(path, pragmas, place.check))
            except (OSError, sqlite3.Error) as error:
                raise store_error(path, error) from error
            yield cls(path, place, reader, writer, looked_over=not large)

    async def write(self, work: Work[T]) -> T:
        """Run `work` on the connection in a write transaction, in another thread and in one step.

        Calls that wait for their turn share one transaction, and so wait for the disk once. If
        `work` raises, only its own changes are undone. A cancelled caller is told once its write
        has ended, one way or the other.

        Raises StoreError if the disk or the file prevents the write, for all that shared it, or if
        it would go into a file that is no longer in place.
        """
        try:
            result = await _undisturbed(self._writer.write(work))
        except Displaced as wrong:
            raise await _undisturbed(self._gone(wrong)) from wrong
        except sqlite3.DatabaseError as error:
            if _is_the_disks(error):
                raise store_error(self.path, error) from error
            raise
        if self.displaced:
            log.warning("%s: the file is in place again", self.path)
            self.displaced = False
        return result

    async def check(self) -> None:
        """Raise StoreError if the file is no longer in place, even if nothing is being written."""
        await self.write(lambda _: None)

    async def _gone(self, wrong: Displaced) -> StoreError:
        """What to raise; at first, it is logged, and what the file had is saved."""
        error = StoreError(
            f"{self.path}: {wrong} while the bot was running, so nothing can be stored; restart "
            "the bot, which then goes on with what is there",
            lasting=True,
        )
        if not self.displaced:
            self.displaced = True
            log.critical("%s", error)
            aside = await self._writer.alone(partial(saved_aside, self.path))
            if aside is not None:
                log.critical("%s: what it had is now in %s", self.path, aside)
                await asyncio.to_thread(self._place.leave)
        return error

    async def look_over(self) -> None:
        """Find damage in a file that was too large to be looked over while it was opened.

        Takes seconds, on a connection of its own. Raises StoreError.
        """
        if self._looked_over:
            return
        try:
            await asyncio.to_thread(look_over, self.path)
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
            await asyncio.to_thread(copy, self.path, target)
        except sqlite3.Error as error:
            raise store_error(target, error) from error

    async def rewrite(self) -> None:
        """Rewrite the file without its free space, and empty its log.

        `secure_delete` overwrites what is deleted, but not the copies that SQLite leaves in a page
        when it moves rows to another. Writes wait meanwhile, on an idle
        machine; reads do not. Raises StoreError if there is no room, or the file is in use.
        """
        async with self._writer.lock:
            try:
                await _undisturbed(asyncio.to_thread(rewrite, self.path))
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
