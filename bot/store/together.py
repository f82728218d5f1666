"""Writer: many small writes in few transactions, known as group commit.

A commit waits for the disk, on some machines for a tenth of a second, and each statement that a
coroutine awaits costs a turn of the event loop, in which it can be cancelled or see what others do
on its connection. So a write is a plain function that runs in a thread, and all writes that were
waiting by then run in one transaction.
"""

import asyncio
import sqlite3
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeAlias, TypeVar

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
"""A write: it gets the connection within a transaction, and must neither commit nor roll back."""


@dataclass(eq=False, slots=True)
class _Write(Generic[T]):
    """One write: its outcome is set in the thread, its future afterwards on the event loop."""

    work: Work[T]
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


class Writer:
    """A connection with a thread of its own. Use as `async with Writer.open(path, pragmas)`.

    lock: held during a transaction; anything else that writes to the file takes it too.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        check: Callable[[], None],
    ) -> None:
        self.lock = asyncio.Lock()
        self._check = check
        self._connection = connection
        self._thread = thread
        self._waiting: list[_Write[Any]] = []
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, pragmas: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Self]:
        """check: called in the thread before each commit, which it prevents by raising.

        Raises sqlite3.Error if the file cannot be opened.
        """
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        try:
            connection = await loop.run_in_executor(thread, _connect, path, pragmas)
            writer = cls(connection, thread, check)
            try:
                yield writer
            finally:
                if writer._writing is not None:
                    await writer._writing
                await loop.run_in_executor(thread, connection.close)
        finally:
            thread.shutdown(wait=False)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction that others may share; returns once it is on disk.

        Raises what `work` raises, whose changes are then undone, or what prevents the commit.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        write = _Write(work, future)
        self._waiting.append(write)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        return await future

    async def alone(self, work: Work[T]) -> T:
        """Run `work` while there is no transaction; it may do what SQLite refuses within one."""
        loop = asyncio.get_running_loop()
        async with self.lock:
            return await loop.run_in_executor(self._thread, work, self._connection)

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            async with self.lock:
                writes, self._waiting = self._waiting, []
                try:
                    await loop.run_in_executor(
                        self._thread, _commit, self._connection, writes, self._check
                    )
                except Exception as error:  # it has been closed
                    for write in writes:
                        write.error = error
            for write in writes:
                if write.future.cancelled():
                    continue
                if write.error is None:
                    write.future.set_result(write.result)
                else:
                    write.future.set_exception(write.error)


def _connect(path: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for pragma in pragmas:
        connection.execute(pragma)
    return connection


def _commit(
    connection: sqlite3.Connection, writes: Sequence[_Write[Any]], check: Callable[[], None]
) -> None:
    """Run all in one transaction and note the outcome of each."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for write in writes:
            _run(connection, write)
        check()
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for write in writes:
            write.error = write.error or error


def _run(connection: sqlite3.Connection, write: _Write[Any]) -> None:
    connection.execute("SAVEPOINT one")
    try:
        write.result = write.work(connection)
    except Exception as error:
        if not connection.in_transaction:
            # SQLite has undone everything, as it does when the disk is full.
            raise
        # What it had not read to its end would hold the connection at what is there now.
        traceback.clear_frames(error.__traceback__)
        # No future takes a StopIteration.
        write.error = RuntimeError(repr(error)) if isinstance(error, StopIteration) else error
        connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")
