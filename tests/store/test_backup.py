"""Backups, restoring and repairing, with real files that are really damaged."""

import os
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store import Discord, InteractionToken, JobState, Store, now_ms
from bot.store.backup import KEPT, backups_of, kept_until
from bot.store.database import _keep_as_it_was
from bot.store.origins import DISCORD_EPOCH
from bot.store.repair import repair
from tests.store.factories import done, in_channel, new_job, running
from tests.store.schemas import BEFORE_ORIGINS, write_database

TODAY = date(2026, 11, 25)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imagen.sqlite3"


async def filled(database: Path, jobs: int = 60) -> list[str]:
    """A database with jobs in many states; returns their ids, oldest first."""
    ids = []
    async with Store.open(database) as store:
        for n in range(jobs):
            new = new_job(user_id=n)
            job = await (done(store, new) if n % 3 else store.accept(new))
            ids.append(job.id)
    return ids


def content(file: Path) -> bytes:
    return file.read_bytes()


def damage(file: Path, start: float, end: float, spare: int = 3 * 4096) -> None:
    """Overwrite a part of the file, except for its first `spare` bytes."""
    size = file.stat().st_size
    with file.open("rb+") as opened:
        opened.seek(max(spare, int(size * start)))
        opened.write(b"\xa5" * int(size * (end - start)))


def wreck(database: Path, index: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        [(page,)] = connection.execute(sql, (index,)).fetchall()
        [(size,)] = connection.execute("PRAGMA page_size").fetchall()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


async def ids_in(database: Path) -> set[str]:
    async with Store.open(database) as store:
        return {row["id"] for row in await store._database.rows("SELECT id FROM jobs")}


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
            async with store._database.transaction() as write:
                await write.execute("UPDATE jobs SET kind = 'vary'")
                backup = await store.back_up(TODAY)
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
        from bot.store.database import MIGRATIONS

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
        await _keep_as_it_was(database, 7)
        kept = database.with_name("imagen-schema-7.sqlite3")
        assert len(await ids_in(kept)) == 1
        assert asked.token.encode() in content(database)
        assert asked.token.encode() not in content(kept)


class TestRepair:
    async def test_a_sound_database_is_left_alone(self, database: Path) -> None:
        await filled(database, 3)
        before = content(database)
        assert repair(database).aside is None
        assert content(database) == before

    async def test_what_is_damaged_is_said_at_the_start(self, database: Path) -> None:
        await filled(database)
        damage(database, 0.4, 0.6)
        with pytest.raises(StoreError, match=r"damaged.*check --repair") as raised:
            async with Store.open(database):
                pass
        assert raised.value.lasting

    async def test_a_large_one_is_looked_over_later(
        self, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await filled(database)
        monkeypatch.setattr("bot.store.database.LOOKED_OVER_MAX", 0)
        async with Store.open(database) as store:
            await store.look_over()
        wreck(database, "discord_jobs_by_message")
        async with Store.open(database) as store:
            with pytest.raises(StoreError, match=r"damaged.*check --repair") as raised:
                await store.look_over()
        assert raised.value.lasting

    async def test_what_can_be_read_is_saved(self, database: Path) -> None:
        ids = await filled(database, jobs=240)
        damage(database, 0.5, 0.6)
        done = repair(database)
        assert done.aside is not None
        assert done.aside.is_file()
        found = await ids_in(database)
        assert found <= set(ids)
        assert len(ids) // 4 < len(found) == done.rescued["jobs"]

    async def test_without_its_message_a_job_is_kept_for_its_person(self, database: Path) -> None:
        async with Store.open(database) as store:
            job = await store.accept(in_channel())
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM discord_jobs")
            # A reference to a lost row, which shows the damage.
            connection.execute("UPDATE jobs SET parent_id = 'lost'")
        assert repair(database).aside is not None
        async with Store.open(database) as store:
            assert (await store.job(job.id)).origin == Discord(user_id=7, guild_id=1)

    async def test_the_backup_adds_what_is_lost(self, database: Path) -> None:
        ids = await filled(database)
        async with Store.open(database) as store:
            await store.back_up(TODAY)
            ids.append((await store.accept(new_job())).id)
        damage(database, 0.3, 0.6)
        done = repair(database)
        assert done.added["jobs"] > 0
        assert await ids_in(database) >= set(ids[:-1])

    async def test_with_its_first_page_gone_the_backup_is_all(self, database: Path) -> None:
        ids = await filled(database, 9)
        async with Store.open(database) as store:
            await store.back_up(TODAY)
        damage(database, 0.0, 1.0, spare=0)
        done = repair(database)
        assert (done.rescued["jobs"], done.added["jobs"]) == (0, 9)
        assert await ids_in(database) == set(ids)

    @pytest.mark.parametrize("version", range(1, BEFORE_ORIGINS + 1))
    @pytest.mark.parametrize("lost", ["the end", "all"])
    async def test_an_older_schema_is_rescued_and_brought_up_to_date(
        self, database: Path, version: int, lost: str
    ) -> None:
        write_database(database, version)
        (database.parent / "backups").mkdir()
        shutil.copy(database, database.parent / "backups" / f"imagen-{TODAY}.sqlite3")
        if lost == "all":
            damage(database, 0.0, 1.0, spare=0)
        else:
            damage(database, 0.9, 1.0)
        repaired = repair(database)
        assert repaired.rescued["jobs"] + repaired.added["jobs"] == 4
        async with Store.open(database) as store:
            told_already = version == 1
            assert len(await store.untold(("discord",))) == (0 if told_already else 1)
            delivered = await store.job("delivered")
            assert Discord.of(delivered.origin).message_id == 30
            assert len(await store.images("delivered")) == 1
            assert (await store.job("cli")).state is JobState.RUNNING

    async def test_a_database_in_use_is_refused(self, database: Path) -> None:
        async with Store.open(database) as store:
            await store.accept(new_job())
            with pytest.raises(StoreError, match="in use"):
                repair(database)

    def test_none_is_a_sentence(self, database: Path) -> None:
        with pytest.raises(StoreError, match="no database"):
            repair(database)


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
