"""What tests take for a new database is one."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from bot.store.migrating import MIGRATIONS, migrate
from tests.store.copying import Copying
from tests.store.schemas import LATEST, write_database


def contents(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        [version] = database.execute("PRAGMA user_version").fetchone()
        schema = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
        return [version, *database.execute(schema)]


async def made(path: Path, how: Any) -> list[Any]:
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await how(connection, path, MIGRATIONS)
        async with connection.execute("PRAGMA foreign_keys") as cursor:
            assert await cursor.fetchone() == (1,)
    return contents(path)


async def test_the_first_and_each_copy_are_what_the_migrations_make(tmp_path: Path) -> None:
    copying = Copying()
    wanted = await made(tmp_path / "migrated", migrate)
    assert wanted[0] == LATEST
    assert await made(tmp_path / "first", copying.migrate) == wanted
    assert await made(tmp_path / "copy", copying.migrate) == wanted


@pytest.mark.parametrize("version", [1, 3])
async def test_an_older_one_is_migrated(tmp_path: Path, version: int) -> None:
    write_database(tmp_path / "old", version)
    made_of_old = await made(tmp_path / "old", Copying().migrate)
    assert made_of_old[0] == LATEST
    with closing(sqlite3.connect(tmp_path / "old")) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (4,)
