"""A fresh store and database for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store import Store
from bot.store.database import Database


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "data" / "imagen.sqlite3") as opened:
        yield opened


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """One table `t (x)` instead of the bot's own."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_t.sql").write_text("CREATE TABLE t (x INTEGER UNIQUE) STRICT;")
    async with Database.open(tmp_path / "t.sqlite3", folder) as opened:
        yield opened
