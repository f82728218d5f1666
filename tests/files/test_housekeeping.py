"""Old images are deleted, their rows stay; tokens are erased in time."""

import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.files.housekeeping import DAY_MS, Housekeeping, choose
from bot.files.images import save_images
from bot.store import InteractionToken, Job, JobState, KeptImage, Store, now_ms
from bot.store.backup import backups_of
from bot.store.origins import DISCORD_EPOCH, TOKEN_MS
from tests.store.factories import new_job, painting, request, running

MB = 1_000_000


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        yield store


async def painted(store: Store, folder: Path, days_ago: float, *, delivered: bool = True) -> Job:
    job = await running(store)
    result = painting(request(count=2))
    finished = await store.finish(job, result.recipe, save_images(result, job, folder), [])
    assert finished is not None
    async with store._database.transaction() as write:
        await write.execute(
            "UPDATE jobs SET finished_at = ? WHERE id = ?",
            (now_ms() - int(days_ago * DAY_MS), job.id),
        )
    if delivered:
        assert await store.deliver(finished, 1, now_ms())
    return await store.job(job.id)


def files(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.rglob("*.png")}


async def test_what_is_old_is_deleted_and_its_rows_stay(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    old = await painted(store, folder, 91)
    undelivered = await painted(store, folder, 91, delivered=False)
    new = await painted(store, folder, 89)
    assert await Housekeeping(store, folder, days=90, gib=0).prune() == 2
    assert files(folder) == {undelivered.id, new.id}
    assert not (folder / old.id).exists()
    assert (await store.job(old.id)).state is JobState.DELIVERED
    assert [bool(image.pruned_at) for image in await store.images(old.id)] == [True, True]
    assert await Housekeeping(store, folder, days=90, gib=0).prune() == 0


async def test_the_oldest_goes_first_when_there_is_too_much(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    jobs = [await painted(store, folder, days) for days in (3, 2, 1)]
    sizes = [image.bytes for job in jobs for image in await store.images(job.id)]
    keeper = Housekeeping(store, folder, days=0, gib=(sum(sizes) - sizes[0]) / 2**30)
    assert await keeper.prune() == 1
    assert files(folder) == {job.id for job in jobs}
    keeper = Housekeeping(store, folder, days=0, gib=sizes[-1] / 2**30)
    assert await keeper.prune() == 4
    assert files(folder) == {jobs[-1].id}


async def test_without_limits_everything_is_kept(store: Store, tmp_path: Path) -> None:
    job = await painted(store, tmp_path / "images", 10_000)
    assert await Housekeeping(store, tmp_path / "images", days=0, gib=0).prune() == 0
    assert files(tmp_path / "images") == {job.id}


async def test_a_path_that_leaves_the_folder_is_not_followed(store: Store, tmp_path: Path) -> None:
    old = await painted(store, tmp_path / "images", 100)
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"x")
    async with store._database.transaction() as write:
        await write.execute("UPDATE images SET path = ? WHERE n = 0", (str(outside),))
    assert await Housekeeping(store, tmp_path / "images", days=90, gib=0).prune() == 1
    assert outside.exists()
    assert [bool(image.pruned_at) for image in await store.images(old.id)] == [False, True]


async def test_the_loop_does_not_wait_while_years_of_pictures_are_looked_through(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await painted(store, tmp_path / "images", 91)
    threads = set()

    def kept(**fields: Any) -> KeptImage:
        threads.add(threading.get_ident())
        return KeptImage(**fields)

    monkeypatch.setattr("bot.store.store.KeptImage", kept)
    assert await Housekeeping(store, tmp_path / "images", days=90, gib=0).prune() == 2
    assert threads
    assert threading.get_ident() not in threads


async def test_what_was_deleted_by_hand_is_noted(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    jobs = [await painted(store, folder, days) for days in (93, 92, 91)]
    shutil.rmtree(folder / jobs[1].id)
    keeper = Housekeeping(store, folder, days=90, gib=0)
    assert await keeper.prune() == 6
    assert await keeper.prune() == 0
    assert files(folder) == set()


async def test_a_file_that_cannot_be_deleted_does_not_keep_the_others(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    stuck, other = [await painted(store, folder, days) for days in (92, 91)]
    [first, _] = await store.images(stuck.id)
    (folder / first.path).unlink()
    (folder / first.path).mkdir()  # which unlink cannot remove
    assert await Housekeeping(store, folder, days=90, gib=0).prune() == 3
    assert not (folder / other.id).exists()
    assert f"job {stuck.id}: an image cannot be deleted" in caplog.text


IMAGES = st.lists(
    st.builds(
        KeptImage,
        job_id=st.just("x"),
        n=st.just(0),
        path=st.just("x"),
        bytes=st.integers(1, 100),
        ended_at=st.integers(0, 50),
        deletable=st.booleans(),
    )
).map(lambda images: sorted(images, key=lambda image: image.ended_at))


@given(IMAGES, st.integers(0, 60), st.none() | st.integers(0, 500))
def test_exactly_what_must_go_goes(images: list[KeptImage], before: int, limit: int | None) -> None:
    chosen = choose(images, before=before, limit=limit)
    left = [image for image in images if not any(image is one for one in chosen)]
    assert all(image.deletable for image in chosen)
    assert not [image for image in left if image.deletable and image.ended_at < before]
    if limit is not None and sum(image.bytes for image in left) > limit:
        assert not [image for image in left if image.deletable]
    for image in chosen:
        if image.ended_at >= before:
            assert limit is not None
            younger = [one for one in chosen if one.ended_at > image.ended_at]
            total = sum(one.bytes for one in (*left, *younger, image))
            assert total > limit or any(one.ended_at == image.ended_at for one in chosen)


async def test_a_day_has_one_backup(store: Store, tmp_path: Path) -> None:
    keeper = Housekeeping(store, tmp_path / "images", days=0, gib=0)
    await keeper.tidy()
    await keeper.tidy()
    assert len(backups_of(tmp_path / "imagen.sqlite3")) == 1


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("imagen.sqlite3*"))


async def test_tokens_are_used_and_erased_in_time(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret-of-the-interaction")
    job = await store.accept(new_job(interaction=asked))
    assert await store.messages.token(job.id) == asked.token
    assert asked.token not in repr(asked)
    assert asked.token not in repr(job)
    soon = now_ms() + TOKEN_MS + 1
    monkeypatch.setattr("bot.store.messages.now_ms", lambda: soon)
    assert await store.messages.token(job.id) is None
    await store.messages.erase_tokens()
    assert await store._database.rows("SELECT * FROM tokens") == []
    await store._database._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert asked.token.encode() not in content(tmp_path)


async def test_a_delivered_job_needs_no_token(store: Store, tmp_path: Path) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret")
    waiting = await store.accept(new_job(interaction=asked))
    other = InteractionToken(asked.id + 1, "another")
    job = await running(store, new_job(interaction=other))
    result = painting()
    done = await store.finish(job, result.recipe, save_images(result, job, tmp_path), [])
    assert done is not None
    await store.deliver(done, 1, 2)
    await store.messages.erase_tokens()
    left = await store._database.rows("SELECT job_id FROM tokens")
    assert [row["job_id"] for row in left] == [waiting.id]
    assert replace(asked, token="x").good_to == asked.good_to
