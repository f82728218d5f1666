"""Many small writes in few transactions: none is lost, none is in part, none waits forever."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from types import coroutine
from typing import Any

import pytest

from bot.errors import StoreError
from bot.store.database import Database
from tests.store.test_database import add, migrations, numbers


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    folder = migrations(tmp_path / "m", "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT;")
    async with Database.open(tmp_path / "t.sqlite3", folder) as opened:
        yield opened


def insert(number: int, write: sqlite3.Connection) -> int:
    write.execute("INSERT INTO t VALUES (?)", (number,))
    return number


async def test_those_that_wait_share_one_transaction(database: Database) -> None:
    statements: list[str] = []
    await database.write(lambda write: write.set_trace_callback(statements.append))
    statements.clear()
    async with database._writer.lock:
        writes = [asyncio.create_task(database.write(partial(insert, n))) for n in range(50)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*writes) == [*range(50)]
    assert await numbers(database) == [*range(50)]
    assert statements.count("COMMIT") == 1


async def test_one_that_fails_is_undone_alone(database: Database) -> None:
    def fails(write: sqlite3.Connection) -> None:
        insert(5, write)
        raise KeyError("half way")

    async with database._writer.lock:
        writes = [
            asyncio.create_task(database.write(work))
            for work in (partial(insert, 1), fails, partial(insert, 2))
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == [1, 2]
    assert isinstance(outcomes[1], KeyError)
    assert await numbers(database) == [1, 2]


async def test_who_shared_a_transaction_that_sqlite_undid_is_told_of_the_disk(
    database: Database,
) -> None:
    pages = await database.write(lambda write: write.execute("PRAGMA page_count").fetchone()[0])
    await database.write(lambda write: write.execute(f"PRAGMA max_page_count = {pages}"))

    def large(write: sqlite3.Connection) -> None:
        write.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100, 5_000)])

    async with database._writer.lock:
        writes = [
            asyncio.create_task(database.write(work))
            for work in (partial(insert, 1), large, partial(insert, 2))
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(each) for each in outcomes] == [StoreError] * 3
    assert await numbers(database) == []
    assert await database.write(partial(insert, 3)) == 3


async def test_what_a_failed_write_has_not_read_to_its_end_holds_nothing_up(
    database: Database,
) -> None:
    rows = [(n,) for n in range(10, 60)]
    await database.write(lambda write: write.executemany("INSERT INTO t VALUES (?)", rows))

    def fails(write: sqlite3.Connection) -> None:
        read = write.execute("SELECT x FROM t")
        raise KeyError(read.fetchone()["x"])

    with pytest.raises(KeyError) as kept:
        await database.write(fails)
    with sqlite3.connect(database.path, isolation_level=None) as other:
        other.execute("INSERT INTO t VALUES (3)")
    assert await database.write(partial(insert, 4)) == 4
    assert kept.value is not None


async def test_a_write_that_raises_stop_iteration_fails_alone(database: Database) -> None:
    async with database._writer.lock:
        writes = [
            asyncio.create_task(database.write(work))
            for work in (lambda _: next(iter(())), partial(insert, 2))
        ]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(outcomes[0], RuntimeError)
    assert outcomes[1] == 2


async def test_another_program_that_holds_the_file_is_told_to_all(
    database: Database, tmp_path: Path
) -> None:
    other = sqlite3.connect(tmp_path / "t.sqlite3", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        writes = [database.write(partial(insert, 1)) for _ in range(2)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
        assert "the database is locked" in str(outcomes[0])
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert await database.write(partial(insert, 2)) == 2
    assert await numbers(database) == [2]


async def test_a_commit_that_fails_undoes_all_of_it(tmp_path: Path) -> None:
    """A deferred constraint fails at COMMIT, as a full disk would."""
    folder = migrations(
        tmp_path / "m",
        "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT;"
        "CREATE TABLE c (x INTEGER REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED) STRICT;",
    )
    async with Database.open(tmp_path / "x.sqlite3", folder) as opened:
        async with opened._writer.lock:
            bad = asyncio.create_task(
                opened.write(lambda write: write.execute("INSERT INTO c VALUES (9)"))
            )
            good = asyncio.create_task(opened.write(partial(insert, 1)))
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(bad, good, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 2
        assert await numbers(opened) == []
        await opened.write(partial(insert, 2))
        assert await numbers(opened) == [2]


class Steps:
    """Runs a coroutine step by step, so that it can be cancelled at each await in turn."""

    def __init__(self, cancel_at: int, times: int) -> None:
        self.seen = 0
        self._cancel_at = range(cancel_at, cancel_at + times)

    @coroutine
    def run(self, work: Any) -> Any:
        """Await `work`; at the chosen awaits, raise CancelledError into it instead of resuming."""
        steps = work.__await__()
        send: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            try:
                awaited = send()
            except StopIteration as stop:
                return stop.value
            cancel_now = self.seen in self._cancel_at
            self.seen += 1
            if cancel_now:
                if awaited is not None:
                    awaited._asyncio_future_blocking = False
                send = lambda: steps.throw(asyncio.CancelledError())  # noqa: E731
            else:
                yield awaited
                send = lambda: next(steps)  # noqa: E731


async def cancelled_at(work: Awaitable[None], step: int, times: int) -> tuple[bool, int]:
    """Run `work` with cancellations from await number `step` on; (finished, awaits seen)."""
    steps = Steps(step, times)
    try:
        await steps.run(work)
    except asyncio.CancelledError:
        return False, steps.seen
    return True, steps.seen


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_cancelled_at_every_await_it_is_written_whole_or_not(
    database: Database, times: int
) -> None:
    async def two_rows(number: int) -> None:
        await database.write(lambda write: (insert(number, write), insert(-number, write)))

    for step in range(1, 20):
        _, seen = await cancelled_at(two_rows(step), step - 1, times)
        await add(database, 1_000 + step)
        written = {x for x in await numbers(database) if abs(x) == step}
        assert written in (set(), {step, -step})
        if seen < step:
            break
    assert seen < step


async def test_who_is_cancelled_is_told_once_it_is_written(database: Database) -> None:
    """With Task.cancel after n turns of the loop, twice."""
    for turns in range(1, 40):
        task = asyncio.create_task(database.write(partial(insert, turns)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert turns in await numbers(database)


async def test_closing_waits_for_what_is_being_written_and_ends_the_thread(tmp_path: Path) -> None:
    folder = migrations(tmp_path / "m", "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT;")
    async with Database.open(tmp_path / "t.sqlite3", folder) as opened:
        thread = await opened.write(lambda _: threading.current_thread())
        writing = asyncio.create_task(opened.write(partial(insert, 1)))
        for _ in range(3):
            await asyncio.sleep(0)
    assert await writing == 1
    thread.join(10)  # it is told to end, and not waited for
    assert not thread.is_alive()
    with pytest.raises(RuntimeError):
        await opened.write(partial(insert, 2))


async def test_what_comes_while_it_is_closed_fails_instead_of_waiting(tmp_path: Path) -> None:
    folder = migrations(tmp_path / "m", "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT;")
    async with Database.open(tmp_path / "t.sqlite3", folder) as opened:
        late = [asyncio.create_task(opened.write(partial(insert, n))) for n in range(9)]
    outcomes = await asyncio.gather(*late, return_exceptions=True)
    failures = [outcome for outcome in outcomes if not isinstance(outcome, int)]
    assert {type(failure) for failure in failures} <= {RuntimeError, sqlite3.ProgrammingError}
