"""Backups and restoring, with real files."""

import asyncio
import os
import shutil
import sqlite3
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store import InteractionToken, Store, now_ms
from bot.store.backup import KEPT, backups_of, kept_until
from bot.store.migrating import keep_as_it_was
from bot.store.origins import DISCORD_EPOCH
from tests.store.damaging import TODAY, content, filled, ids_in
from tests.store.factories import new_job, running
from tests.store.schemas import LATEST


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imagen.sqlite3"


class TestBackups:
    async def test_one_a_day_and_the_last_seven(self, database: Path) -> None:
        async with Store.open(database) as store:
            for day in range(KEPT + 3):
                made = await store.back_up(TODAY + timedelta(day))
                assert made is not None
                assert await store.back_up(TODAY + timedelta(day)) is None
        names = [file.name for file in backups_of(database)]
        last = TODAY + timedelta(KEPT + 2)
        assert names[0] == f"imagen-{last}.sqlite3"
        assert len(names) == KEPT
        assert sorted(p.name for p in (database.parent / "backups").iterdir()) == sorted(names)

    async def test_they_go_by_their_age_also_if_none_was_made_for_a_while(
        self, database: Path
    ) -> None:
        async with Store.open(database) as store:
            await store.back_up(TODAY)
            until = kept_until(database)
            assert until is not None
            await store.back_up(until.date())
        assert [file.stem for file in backups_of(database)] == [f"imagen-{until.date()}"]

    async def test_what_a_process_left_that_died_while_it_copied_is_deleted(
        self, database: Path
    ) -> None:
        left = [
            database.parent / "backups" / "imagen-2026-11-20.sqlite3.part",
            database.parent / "backups" / "imagen-2026-11-20.sqlite3.part-journal",
            database.parent / "imagen-schema-3.sqlite3.0123abcd.part",
        ]
        other = database.parent / "imagen-schema-3.sqlite3.99999999.part"
        (database.parent / "backups").mkdir()
        for file in (*left, other):
            file.write_bytes(b"a prompt")
        for file in left:
            os.utime(file, (1, 1))
        async with Store.open(database) as store:
            await store.back_up(TODAY)
        assert not [file for file in left if file.exists()]
        assert other.exists(), "another process may be writing it"

    async def test_restoring_is_copying_it_back(self, database: Path) -> None:
        """As in docs/operating.md."""
        before = await filled(database, 6)
        async with Store.open(database) as store:
            backup = await store.back_up(TODAY)
            later = await store.accept(new_job())
        assert backup is not None
        shutil.copyfile(backup, database)
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        found = await ids_in(database)
        assert found == set(before)
        assert later.id not in found

    async def test_it_keeps_no_token(self, database: Path) -> None:
        asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret-of-the-interaction")
        async with Store.open(database) as store:
            job = await store.accept(new_job(interaction=asked))
            backup = await store.back_up(TODAY)
            assert await store.messages.token(job.id) == asked.token
        assert backup is not None
        assert asked.token.encode() not in backup.read_bytes()
        assert [file.name for file in backup.parent.iterdir()] == [backup.name]

    async def test_it_is_made_while_somebody_writes(self, database: Path) -> None:
        async with Store.open(database) as store:
            job = await running(store)
            written, go_on = asyncio.Event(), threading.Event()
            loop = asyncio.get_running_loop()

            def write(connection: sqlite3.Connection) -> None:
                connection.execute("UPDATE jobs SET kind = 'vary'")
                loop.call_soon_threadsafe(written.set)
                go_on.wait()

            writing = asyncio.create_task(store._database.write(write))
            try:
                await written.wait()
                backup = await store.back_up(TODAY)
            finally:
                go_on.set()
                await writing
        assert backup is not None
        async with Store.open(backup) as copy:
            assert (await copy.job(job.id)).kind == "imagine"

    async def test_a_backup_that_the_disk_does_not_take_leaves_nothing(
        self, database: Path
    ) -> None:
        async with Store.open(database) as store:
            (database.parent / "backups").mkdir()
            (database.parent / "backups" / f"imagen-{TODAY}.sqlite3.part").mkdir()
            with pytest.raises((StoreError, OSError)):
                await store.back_up(TODAY)
        assert backups_of(database) == []

    async def test_before_the_schema_changes_a_copy_is_kept(self, database: Path) -> None:
        from bot.store.migrating import MIGRATIONS

        connection = sqlite3.connect(database)
        connection.executescript((MIGRATIONS / "0001_initial.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA user_version = 1")
        connection.close()
        async with Store.open(database):
            pass
        kept = sqlite3.connect(database.with_name("imagen-schema-1.sqlite3"))
        assert kept.execute("PRAGMA user_version").fetchone() == (1,)
        kept.close()

    async def test_that_copy_keeps_no_token_either(self, database: Path) -> None:
        async with Store.open(database) as store:
            asked = InteractionToken(
                (now_ms() - DISCORD_EPOCH) << 22, "a-secret-of-the-interaction"
            )
            await store.accept(new_job(interaction=asked))
        await keep_as_it_was(database, LATEST)
        kept = database.with_name(f"imagen-schema-{LATEST}.sqlite3")
        assert len(await ids_in(kept)) == 1
        assert asked.token.encode() in content(database)
        assert asked.token.encode() not in content(kept)


async def test_a_folder_that_cannot_be_made_is_said_to_the_owner(database: Path) -> None:
    (database.parent / "backups").write_bytes(b"")
    async with Store.open(database) as store:
        with pytest.raises(StoreError, match="backups"):
            await store.back_up(date(2026, 11, 25))


async def test_copies_from_before_a_new_schema_are_kept_for_a_month(database: Path) -> None:
    await filled(database, jobs=1)
    old, young = [database.with_name(f"imagen-schema-{n}.sqlite3") for n in (3, 4)]
    for copy, days in ((old, 31), (young, 29)):
        copy.write_bytes(b"prompts")
        made = time.time() - days * 24 * 60 * 60
        os.utime(copy, (made, made))
    async with Store.open(database) as store:
        assert await store.copies_kept_until() is not None
        await store.back_up(TODAY)
        until = await store.copies_kept_until()
    assert not old.exists()
    assert young.exists()
    assert until is not None
    assert until.date() == max(TODAY + timedelta(days=KEPT), until.date())
    young.unlink()
    assert kept_until(database) == datetime(2026, 12, 2, tzinfo=UTC)


def test_without_copies_nothing_is_kept(tmp_path: Path) -> None:
    assert kept_until(tmp_path / "imagen.sqlite3") is None
