"""A database whose file is taken away while it is open."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import StoreError
from bot.store import JobState, Store
from bot.store.place import Place
from tests.store.factories import new_job


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "imagen.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store.open(path) as store:
        yield store


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def replaced(path: Path) -> None:
    """As by restoring a backup."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def folder_moved(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def folder_replaced(path: Path) -> None:
    folder_moved(path)
    path.parent.mkdir()


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (replaced, "the file was replaced by another"),
        (Path.unlink, "the file was moved or deleted"),
        (folder_moved, "the file was moved or deleted"),
        (folder_replaced, "the file was moved or deleted"),
        (lambda path: beside(path, "-wal").unlink(), "its -wal file was moved or deleted"),
        (lambda path: replaced(beside(path, "-wal")), "its -wal file was replaced by another"),
        (lambda path: beside(path, "-shm").unlink(), "its -shm file was moved or deleted"),
    ],
)
async def test_nothing_is_accepted_into_the_void(
    store: Store,
    path: Path,
    happens: Callable[[Path], None],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = await store.accept(new_job())
    assert not store.displaced
    happens(path)
    for _ in range(2):
        with pytest.raises(StoreError, match=said):
            await store.accept(new_job())
    assert store._database.displaced
    # It is said once, with what was saved of it.
    [told] = [record.getMessage() for record in caplog.records if said in record.getMessage()]
    assert "restart the bot" in told
    [aside] = path.parent.glob("*.displaced-*")
    assert str(aside) in caplog.text
    with closing(sqlite3.connect(aside)) as copy:
        assert (kept.id,) in copy.execute("SELECT id FROM jobs").fetchall()


async def test_its_log_is_not_left_to_the_file_that_replaced_it(path: Path) -> None:
    """SQLite would write it into that file, which then has rows of both, or is damaged."""
    async with Store.open(path) as store:
        await store.accept(new_job())
        other = path.with_name("other")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM INTO ?", (str(other),))
        late = await store.accept(new_job())
        other.replace(path)
        with pytest.raises(StoreError):
            await store.accept(new_job())
    async with Store.open(path) as store:
        assert await store.find(late.id) is None
        assert len(await store.jobs_in(JobState.PENDING, ("discord",))) == 1


async def test_it_is_noticed_when_nothing_is_written(store: Store, path: Path) -> None:
    replaced(path)
    with pytest.raises(StoreError, match="replaced by another"):
        await store._database.check()
    assert store.displaced


async def test_what_comes_back_is_used_again(
    store: Store, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a folder was moved by mistake."""
    folder_moved(path)
    with pytest.raises(StoreError):
        await store.accept(new_job())
    shutil.rmtree(path.parent)
    path.parent.with_name("moved").rename(path.parent)
    job = await store.accept(new_job())
    assert not store.displaced
    assert "in place again" in caplog.text
    async with Store.open(path) as other:
        assert await other.find(job.id)


async def test_an_error_in_looking_is_not_taken_for_an_absent_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tired(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", tired)
        await store.accept(new_job())
    assert not store.displaced


async def test_a_database_at_work_stays_where_it_is(store: Store, path: Path) -> None:
    """Checkpoints and other processes do not change the files' identity."""
    place = Place.of(path)
    assert set(place.files) == {"", "-wal", "-shm"}
    for _ in range(3):
        await store.accept(new_job())
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert place.what_is_wrong() is None
