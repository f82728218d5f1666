"""Repairing, with real files that are really damaged."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.cli.repair import repair_database
from bot.errors import StoreError
from bot.store import Discord, JobState, Store
from bot.store.history import Query
from bot.store.repair import repair
from tests.store.damaging import (
    TODAY,
    content,
    damage,
    filled,
    ids_in,
    overwrite,
    pages_of,
    wreck,
)
from tests.store.every_table import fill_every_table
from tests.store.factories import done, in_channel, new_job
from tests.store.schemas import BEFORE_ORIGINS, write_database
from tests.store.test_personal import OTHER, SECRET, WHO, all_rows, asked, execute, fill, forget


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "imagen.sqlite3"


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
        ids = await filled(database)
        pages = pages_of(database, "jobs")
        lost = overwrite(database, pages[len(pages) // 3 : len(pages) // 2])
        done = repair(database)
        assert done.aside is not None
        assert done.aside.is_file()
        found = await ids_in(database)
        assert found == {job_id for job_id in ids if job_id.encode() not in lost}
        assert len(ids) // 2 < len(found) < len(ids)
        assert done.rescued["jobs"] == len(found)

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
        assert done.added.rows["jobs"] > 0
        assert await ids_in(database) >= set(ids[:-1])

    async def test_with_its_first_page_gone_the_backup_is_all(self, database: Path) -> None:
        ids = await filled(database, 9)
        async with Store.open(database) as store:
            await store.back_up(TODAY)
        damage(database, 0.0, 1.0, spare=0)
        done = repair(database)
        assert (done.rescued["jobs"], done.added.rows["jobs"]) == (0, 9)
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
        assert repaired.rescued["jobs"] + repaired.added.rows["jobs"] == 4
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


def rows_in(database: Path, tables: Any) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(database)) as connection:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


class TestEveryTable:
    def test_is_read_from_the_damaged_file(self, database: Path) -> None:
        rows = fill_every_table(database)
        wreck(database, "jobs_of_person")
        done = repair(database)
        assert rows_in(database, rows) == rows
        assert set(done.rescued) == set(rows)

    def test_is_added_from_the_backup(self, database: Path) -> None:
        rows = fill_every_table(database)
        back_up(database)
        damage(database, 0.0, 1.0, spare=0)
        done = repair(database)
        assert rows_in(database, rows) == rows
        assert set(done.added.rows) == set(done.added.unsure) == set(rows)

    async def test_the_index_of_prompts_is_made_anew(self, database: Path) -> None:
        async with Store.open(database) as store:
            await fill(store, OTHER, "otherword", 3)
            await store.history.catch_up()
        wreck(database, "history_data")
        assert repair(database).aside is not None
        async with Store.open(database) as store:
            assert not await store.history.caught_up()
            await store.history.catch_up()
            found = await store.history.page(f"discord:{OTHER}", Query(words="otherword"), 9)
        assert len(found) == 3

    async def test_without_row_ids_both_ends_of_it_are_saved(self, database: Path) -> None:
        keys = [f"{n:064}" for n in range(400)]
        async with Store.open(database) as store:
            execute(
                store,
                "INSERT INTO forgotten_inputs SELECT value FROM json_each(?)",
                str(keys).replace("'", '"'),
            )
        pages = pages_of(database, "forgotten_inputs")
        lost = overwrite(database, [pages[len(pages) // 2]])
        repair(database)
        found = {key for (key,) in rows_in(database, ["forgotten_inputs"])["forgotten_inputs"]}
        assert found == {key for key in keys if key.encode() not in lost}
        assert 200 < len(found) < 400

    async def test_between_two_damaged_pages_the_file_is_newer_than_the_backup(
        self, database: Path
    ) -> None:
        async with Store.open(database) as store:
            execute(
                store,
                "INSERT INTO forms SELECT printf('%064d', key), 'cli', 'edit', '{}', 1"
                " FROM json_each(?)",
                str([0] * 400),
            )
            await store.back_up(TODAY)
            execute(store, "UPDATE forms SET of = 'new'")
        pages = pages_of(database, "forms")
        lost = overwrite(database, [pages[len(pages) // 4], pages[len(pages) // 2]])
        done = repair(database)
        found = rows_in(database, ["forms"])["forms"]
        old = {key for key, _, of, *_ in found if of == "edit"}
        assert len(found) == 400
        lost_keys = {key for key, *_ in found if key.encode() in lost}
        # To find the key that divides two pages, SQLite reads the one before it as well.
        assert lost_keys <= old
        assert len(old - lost_keys) <= 2
        assert done.added.rows["forms"] == len(old)
        assert done.rescued["forms"] == 400 - len(old)


def back_up(database: Path) -> None:
    (database.parent / "backups").mkdir()
    shutil.copy(database, database.parent / "backups" / f"imagen-{TODAY}.sqlite3")


class TestWhatWasDeletedSinceTheBackup:
    async def test_a_forgotten_person_does_not_come_back(self, database: Path) -> None:
        async with Store.open(database) as store:
            theirs = await fill(store, WHO, SECRET, 8)
            kept = await fill(store, OTHER, "otherword", 8)
            kept.append(await asked(store, OTHER, "otherword", 9, parent_id=theirs[2]))
            await store.back_up(TODAY)
            await forget(store)
        images = ("images", "sqlite_autoindex_images_1")
        damaged = ("jobs", "presets", "favourites", "level_settings", *images)
        overwrite(database, pages_of(database, *damaged))
        done = repair(database)
        assert sum(done.rescued[table] for table in ("jobs", "presets")) == 0
        assert done.added.left_out["jobs"] == 10
        assert done.added.rows["images"] == len(kept)
        data = content(database)
        for trace in (SECRET.encode(), str(WHO).encode(), WHO.to_bytes(8, "big")):
            assert trace not in data
        async with Store.open(database) as store:
            rows = all_rows(store)
            assert (await store.job(kept[-1])).parent_id is None
        assert set(kept) <= {row[0] for row in rows["jobs"]}
        assert [row[1] for row in rows["presets"]] == [f"discord:{OTHER}"] * 2

    async def test_nor_what_is_deleted_with_a_request_that_the_backup_has(
        self, database: Path
    ) -> None:
        async with Store.open(database) as store:
            columns = "(id, person, since, until, hand_over, asked_at)"
            execute(
                store, f"INSERT INTO forgettings {columns} VALUES ('f', 'discord:5', 0, 9, 0, 9)"
            )
            await store.back_up(TODAY)
            execute(store, "DELETE FROM forgettings")
        wreck(database, "jobs_of_person")
        repair(database)
        async with Store.open(database) as store:
            [asked_for] = await store.personal.forgettings.waiting()
        assert asked_for.person == "discord:5"

    async def test_a_deleted_result_stays_deleted(self, database: Path) -> None:
        async with Store.open(database) as store:
            gone, there = [await asked(store, OTHER, "otherword", n) for n in range(2)]
            await store.back_up(TODAY)
            assert await store.deletions.begin(gone)
            await store.deletions.finish(gone)
        overwrite(database, pages_of(database, "jobs"))
        repair(database)
        async with Store.open(database) as store:
            await store.history.catch_up()
            found = await store.history.page(f"discord:{OTHER}", Query(), 9)
            assert [each.job.id for each in found] == [there]
            assert (await store.job(gone)).deleted_at is not None
            assert await store.images(gone) == ()

    async def test_a_lifted_block_does_not_come_back_and_another_does(self, database: Path) -> None:
        async with Store.open(database) as store:
            for who in ("discord:1", "discord:2"):
                await store.blocks.add("person", who, within="", actor="discord:9")
            await store.back_up(TODAY)
            await store.blocks.remove("person", "discord:1", within="", actor="discord:9")
        wreck(database, "jobs_of_person")
        done = repair(database)
        async with Store.open(database) as store:
            assert [block.blocked for block in await store.blocks.all()] == ["discord:2"]
        assert done.added.left_out == {"blocks": 1}

    async def test_a_damaged_table_of_blocks_is_that_of_the_backup(self, database: Path) -> None:
        async with Store.open(database) as store:
            await store.blocks.add("person", "discord:1", within="", actor="discord:9")
            await store.back_up(TODAY)
        overwrite(database, pages_of(database, "blocks"))
        done = repair(database)
        assert done.added.rows == done.added.unsure == {"blocks": 1}
        async with Store.open(database) as store:
            assert [block.blocked for block in await store.blocks.all()] == ["discord:1"]

    async def test_who_was_forgotten_by_some_is_taken_to_be_by_all(self, database: Path) -> None:
        """The presets can tell nothing, but the jobs do."""
        async with Store.open(database) as store:
            await fill(store, WHO, SECRET, 2)
            await fill(store, OTHER, "otherword", 2)
            await store.back_up(TODAY)
            await forget(store)
        overwrite(database, pages_of(database, "presets", "sqlite_autoindex_presets_1"))
        done = repair(database)
        assert done.added.rows == done.added.unsure == {"presets": 2}
        assert SECRET.encode() not in content(database)

    async def test_the_owner_is_told_when_it_cannot_be_known(
        self, database: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings: Any = SimpleNamespace(database=database, data_dir=database.parent)
        async with Store.open(database) as store:
            await done(store, new_job())
            await store.back_up(TODAY)
        wreck(database, "jobs_of_person")
        assert repair_database(settings) == 0
        assert "/forget" not in capsys.readouterr().out
        damage(database, 0.0, 1.0, spare=0)
        assert repair_database(settings) == 0
        said = capsys.readouterr().out
        assert f"restored from imagen-{TODAY}.sqlite3: 1 jobs, 1 images, " in said
        assert "Whoever used /forget since then" in said
