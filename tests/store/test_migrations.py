"""A database of each earlier schema is migrated, and nothing in it is lost."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.store import CommandLine, Discord, JobState, Store
from tests.store.factories import REQUEST, recipe
from tests.store.schemas import BEFORE_ORIGINS, LATEST, write_database


@pytest.mark.parametrize("version", range(1, BEFORE_ORIGINS + 1))
async def test_every_job_is_what_it_was(tmp_path: Path, version: int) -> None:
    path = tmp_path / "imagen.sqlite3"
    write_database(path, version)
    async with Store.open(path) as store:
        delivered, reroll, failed, cli = [
            await store.job(job_id) for job_id in ("delivered", "reroll", "failed", "cli")
        ]
        images = await store.images("delivered")
        untold = await store.untold(("discord",))
        served = await store.last_served(["discord:7", "cli"])
        assert await store.messages.job_of(30) == delivered
        again = await store.messages.set_posting("reroll")
    assert delivered.origin == Discord(
        user_id=7,
        guild_id=1,
        channel_id=20,
        message_id=30,
        locale="de",
        upload_limit=99,
        interaction_id=77 if version >= 2 else None,
    )
    assert (delivered.person, delivered.community) == ("discord:7", "discord:1")
    assert (delivered.state, delivered.attempt) == (JobState.DELIVERED, 1)
    assert (delivered.created_at, delivered.started_at) == (1_000, 2_000)
    assert (delivered.finished_at, delivered.delivered_at) == (3_000, 4_000)
    assert delivered.request == REQUEST
    assert delivered.recipe == recipe()
    assert [notice.code for notice in delivered.warnings] == ["adapter.partial"]
    assert [(image.path, image.seed) for image in images] == [("delivered/a.png", 42)]
    assert (reroll.parent_id, reroll.kind, reroll.state) == (
        "delivered",
        "reroll",
        JobState.PENDING,
    )
    assert Discord.of(reroll.origin).reply_to == 30
    assert again is None
    assert failed.error is not None
    # Migration 2 assumes that earlier failures were reported.
    assert [job.id for job in untold] == ([] if version == 1 else ["failed"])
    assert cli.origin == CommandLine()
    assert (cli.person, cli.community, cli.state) == ("cli", None, JobState.RUNNING)
    assert served == {"discord:7": 2.0, "cli": 8.0}


@pytest.mark.parametrize("version", range(1, BEFORE_ORIGINS + 1))
async def test_rows_refer_to_each_other_as_before(tmp_path: Path, version: int) -> None:
    path = tmp_path / "imagen.sqlite3"
    write_database(path, version)
    async with Store.open(path):
        pass
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        assert database.execute("PRAGMA user_version").fetchone() == (LATEST,)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with pytest.raises(sqlite3.IntegrityError):
            database.execute("UPDATE jobs SET parent_id = 'no such job'")
        tokens = database.execute("SELECT job_id FROM tokens").fetchall()
        assert tokens == ([("reroll",)] if version >= 2 else [])
        database.execute("DELETE FROM jobs WHERE id = 'reroll'")
        database.execute("DELETE FROM jobs WHERE id = 'delivered'")
        for table in ("images", "tokens"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        left = database.execute("SELECT job_id FROM discord_jobs").fetchall()
        assert left == [("failed",)]
