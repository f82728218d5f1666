"""Databases with jobs, and real damage to their files."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path

from bot.store import Store
from tests.store.factories import done, new_job

PAGE = 4096
TODAY = date(2026, 11, 25)


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


def pages_of(database: Path, *names: str) -> list[int]:
    """The pages of tables and indexes, from 1; the file is rewritten first, so that each row is in
    it once."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))
    data = database.read_bytes()
    found = []
    left = [roots[name] for name in names]
    while left:
        page = left.pop()
        found.append(page)
        left += _children(data[(page - 1) * PAGE : page * PAGE])
    return sorted(found)


def _children(page: bytes) -> list[int]:
    """The pages below an interior one (SQLite docs, fileformat2, "B-tree Pages")."""
    if page[0] not in (2, 5):
        return []
    count = int.from_bytes(page[3:5], "big")
    cells = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(count)]
    right = int.from_bytes(page[8:12], "big")
    return [*(int.from_bytes(page[cell : cell + 4], "big") for cell in cells), right]


def overwrite(database: Path, pages: Iterable[int]) -> bytes:
    """Returns what they had."""
    had = b""
    with database.open("rb+") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            had += file.read(PAGE)
            file.seek((page - 1) * PAGE)
            file.write(b"\xa5" * PAGE)
    return had
