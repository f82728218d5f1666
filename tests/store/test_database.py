"""The database: its settings, its migrations, and transactions that stay atomic."""

import asyncio
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from bot.errors import StoreError
from bot.store import Store, migrating
from bot.store import database as database_module
from bot.store.database import Database
from bot.store.migrating import MIGRATIONS
from bot.store.whole_file import copy

FIRST = "CREATE TABLE t (x INTEGER UNIQUE) STRICT;"


def migrations(folder: Path, *scripts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, script in enumerate(scripts, start=1):
        (folder / f"{number:04}_step.sql").write_text(script)
    return folder


def tables(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name for (name,) in rows}
    finally:
        connection.close()


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


async def numbers(database: Database) -> list[int]:
    return [row["x"] for row in await database.rows("SELECT x FROM t ORDER BY x")]


async def add(database: Database, number: int) -> None:
    await database.write(lambda write: write.execute("INSERT INTO t VALUES (?)", (number,)))


class TestOpening:
    @pytest.mark.parametrize(
        ("pragma", "value"),
        [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 1000)],
    )
    async def test_the_connection_is_set_for_durability(
        self, database: Database, pragma: str, value: object
    ) -> None:
        [found] = await database.write(lambda write: write.execute(f"PRAGMA {pragma}").fetchone())
        assert found == value

    async def test_reads_cannot_write(self, database: Database) -> None:
        with pytest.raises(StoreError, match="read-only"):
            await database.row("INSERT INTO t VALUES (1)")

    async def test_every_table_is_strict(self, tmp_path: Path) -> None:
        async with Database.open(tmp_path / "x.sqlite3") as opened:
            rows = await opened.rows(
                "SELECT name, strict FROM pragma_table_list WHERE type='table'"
            )
        # Those of the index of words are FTS5's own.
        ours = {
            row["name"]: row["strict"]
            for row in rows
            if not row["name"].startswith(("sqlite_", "history_data", "history_idx", "history_con"))
        }
        assert {"jobs", "discord_jobs", "images", "settings", "forms"} <= set(ours)
        assert set(ours.values()) == {1}

    async def test_foreign_keys_are_enforced(self, tmp_path: Path) -> None:
        async with Database.open(tmp_path / "x.sqlite3") as opened:
            with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
                await opened.write(
                    lambda write: write.execute(
                        "INSERT INTO images VALUES ('none', 0, 1, 'p', 1, 1, 1, 's', 'p', NULL)"
                    )
                )

    async def test_a_folder_that_is_not_there_is_made(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "a" / "b" / "x.sqlite3"):
            assert (tmp_path / "a" / "b" / "x.sqlite3").is_file()

    @pytest.mark.parametrize("content", [b"not a database at all, but long enough" * 30, None])
    async def test_what_is_no_database_is_a_store_error_and_leaves_no_thread(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "x.sqlite3"
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        before = threading.active_count()
        with pytest.raises(StoreError, match=r"x\.sqlite3"):
            async with Database.open(path):
                pass
        await gone(before)

    async def test_a_data_folder_that_is_a_file_is_a_store_error(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("")
        with pytest.raises(StoreError, match="cannot be used"):
            async with Database.open(tmp_path / "data" / "x.sqlite3"):
                pass

    async def test_an_old_sqlite_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "OLDEST_SQLITE", (99, 0, 0))
        with pytest.raises(StoreError, match="too old"):
            async with Database.open(tmp_path / "x.sqlite3"):
                pass
        assert not (tmp_path / "x.sqlite3").exists()

    async def test_closing_ends_its_threads(self, tmp_path: Path) -> None:
        before = threading.active_count()
        with pytest.raises(LookupError):
            async with Database.open(tmp_path / "x.sqlite3"):
                raise LookupError
        await gone(before)

    async def test_two_may_open_a_fresh_file_at_the_same_time(self, tmp_path: Path) -> None:
        path = tmp_path / "x.sqlite3"

        async def open_and_write(key: str) -> None:
            async with Store.open(path) as store:
                await store.set_setting(key, "1")

        await asyncio.gather(*(open_and_write(str(n)) for n in range(6)))
        assert version(path) == len(list(MIGRATIONS.glob("*.sql")))


async def test_who_comes_second_leaves_the_schema_to_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen an empty file; the other one has created its tables meanwhile."""
    path, really = tmp_path / "x.sqlite3", migrating._version
    async with Store.open(path) as store:
        await store.set_setting("key", "value")
    seen = iter([0])

    async def at_first_empty(connection: Any) -> int:
        for version in seen:
            return version
        return await really(connection)

    monkeypatch.setattr(migrating, "_version", at_first_empty)
    async with Store.open(path) as store:
        assert await store.setting("key") == "value"


async def gone(before: int) -> None:
    """Wait until no more threads run than before; the test's own pool thread may stay."""
    while threading.active_count() > before:
        extra = [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]
        if not extra:
            return
        await asyncio.sleep(0)


class TestMigrations:
    async def test_every_older_version_comes_to_the_newest(self, tmp_path: Path) -> None:
        scripts = (
            FIRST,
            "CREATE TABLE u (x) STRICT;".replace("x", "x ANY"),
            "CREATE INDEX i ON t (x);",
        )
        for start in range(len(scripts) + 1):
            path, folder = tmp_path / f"{start}.sqlite3", tmp_path / f"m{start}"
            async with Database.open(path, migrations(folder, *scripts[:start])):
                pass
            assert version(path) == start
            async with Database.open(path, migrations(folder, *scripts)):
                pass
            assert version(path) == len(scripts)
            assert {"t", "u"} <= tables(path)

    async def test_one_that_rebuilds_a_table_is_not_run_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It would not fail, and what another process has written since would be lost."""
        rebuild = (
            "CREATE TABLE now (x INTEGER) STRICT; INSERT INTO now SELECT x FROM t WHERE x < 3;"
            "DROP TABLE t; ALTER TABLE now RENAME TO t;"
        )
        path, folder = tmp_path / "x.sqlite3", migrations(tmp_path / "m", FIRST, rebuild)
        async with Database.open(path, folder) as opened:
            await add(opened, 5)
        really, seen = migrating._version, iter([0])

        async def at_first_empty(connection: Any) -> int:
            for found in seen:
                return found
            return await really(connection)

        monkeypatch.setattr(migrating, "_version", at_first_empty)
        async with Database.open(path, folder) as opened:
            assert await numbers(opened) == [5]

    async def test_the_copy_of_before_is_not_replaced_by_a_later_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "x.sqlite3"
        async with Database.open(path, migrations(tmp_path / "old", FIRST)):
            pass
        kept = tmp_path / "x-schema-1.sqlite3"

        def copied_late(source: Path, target: Path) -> None:
            copy(source, target)
            kept.write_bytes(b"of the other process")

        monkeypatch.setattr(migrating, "copy", copied_late)
        await migrating.keep_as_it_was(path, 1)
        assert kept.read_bytes() == b"of the other process"
        assert not [name for name in os.listdir(tmp_path) if ".part" in name]  # noqa: PTH208

    async def test_what_was_migrated_meanwhile_is_not_kept_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "x.sqlite3"
        async with Database.open(path, migrations(tmp_path / "m", FIRST, "SELECT 1;")):
            pass
        await migrating.keep_as_it_was(path, 1)
        await migrating.keep_as_it_was(path, 2)
        kept = [name for name in os.listdir(tmp_path) if "-schema-" in name]  # noqa: PTH208
        assert kept == ["x-schema-2.sqlite3"]

    async def test_data_survives_reopening(self, tmp_path: Path) -> None:
        folder = migrations(tmp_path / "m", FIRST)
        async with Database.open(tmp_path / "x.sqlite3", folder) as opened:
            await add(opened, 5)
        async with Database.open(tmp_path / "x.sqlite3", folder) as opened:
            assert await numbers(opened) == [5]

    async def test_a_file_from_a_newer_version_is_refused_and_left_alone(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "x.sqlite3"
        async with Database.open(path, migrations(tmp_path / "new", FIRST, "SELECT 1;")):
            pass
        with pytest.raises(StoreError, match=r"schema 2, this one knows 1"):
            async with Database.open(path, migrations(tmp_path / "old", FIRST)):
                pass
        assert version(path) == 2

    @pytest.mark.parametrize(
        "broken",
        [
            "CREATE TABLE u (x INTEGER) STRICT; CREATE TABLE t (x INTEGER) STRICT;",
            "CREATE TABLE u (x INTEGER) STRICT; THIS IS NOT SQL;",
            "CREATE TABLE u (x INTEGER) STRICT; INSERT INTO u VALUES ('text');",
        ],
    )
    async def test_a_broken_script_is_rolled_back_whole(self, tmp_path: Path, broken: str) -> None:
        path = tmp_path / "x.sqlite3"
        with pytest.raises(StoreError):
            async with Database.open(path, migrations(tmp_path / "m", FIRST, broken)):
                pass
        assert version(path) == 1
        assert tables(path) == {"t"}
        mended = migrations(tmp_path / "m", FIRST, "CREATE TABLE u (x INTEGER) STRICT;")
        async with Database.open(path, mended):
            assert tables(path) == {"t", "u"}

    async def test_a_gap_in_the_numbers_is_refused(self, tmp_path: Path) -> None:
        folder = migrations(tmp_path / "m", FIRST)
        (folder / "0003_step.sql").write_text("SELECT 1;")
        with pytest.raises(StoreError, match="0002"):
            async with Database.open(tmp_path / "x.sqlite3", folder):
                pass


class TestTransactions:
    async def test_it_commits_at_the_end(self, database: Database) -> None:
        await add(database, 1)
        assert await numbers(database) == [1]

    async def test_it_rolls_back_on_any_exception(self, database: Database) -> None:
        def fails(write: sqlite3.Connection) -> None:
            write.execute("INSERT INTO t VALUES (1)")
            raise KeyError

        with pytest.raises(KeyError):
            await database.write(fails)
        assert await numbers(database) == []
        await add(database, 2)
        assert await numbers(database) == [2]

    async def test_what_is_not_committed_is_not_read(self, database: Database) -> None:
        inside, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def slow(write: sqlite3.Connection) -> None:
            write.execute("INSERT INTO t VALUES (1)")
            loop.call_soon_threadsafe(inside.set)
            go_on.wait()

        writing = asyncio.create_task(database.write(slow))
        await inside.wait()
        try:
            assert await numbers(database) == []
        finally:
            go_on.set()
        await writing
        assert await numbers(database) == [1]

    async def test_a_commit_that_fails_leaves_no_open_transaction(self, tmp_path: Path) -> None:
        """A deferred constraint fails at COMMIT, as a full disk would."""
        folder = migrations(
            tmp_path / "m",
            "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT;"
            "CREATE TABLE c (x INTEGER REFERENCES t (x) DEFERRABLE INITIALLY DEFERRED) STRICT;",
        )
        async with Database.open(tmp_path / "x.sqlite3", folder) as opened:
            with pytest.raises(sqlite3.IntegrityError):
                await opened.write(lambda write: write.execute("INSERT INTO c VALUES (9)"))
            await add(opened, 1)
            assert await numbers(opened) == [1]
            assert await opened.rows("SELECT * FROM c") == []

    async def test_a_statement_that_another_process_blocks_leaves_no_open_transaction(
        self, database: Database, tmp_path: Path
    ) -> None:
        await database.write(lambda write: write.execute("PRAGMA busy_timeout = 1"))
        other = sqlite3.connect(tmp_path / "t.sqlite3", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="the database is locked"):
                await add(database, 1)
            other.execute("ROLLBACK")
        finally:
            other.close()
        await add(database, 2)
        assert await numbers(database) == [2]
