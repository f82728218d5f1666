"""Old images are deleted, and their rows stay; what else is done once a day."""

import asyncio
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import StoreError
from bot.files.housekeeping import DAY_MS, Housekeeping
from bot.files.inputs import Inputs, StoredInput
from bot.files.pruning import Kept, KeptInput, Pruning
from bot.store import JobState, KeptImage, Store, now_ms
from bot.store.backup import backups_of
from tests.files.keeping import files, housekeeping, painted

MB = 1_000_000


async def test_what_is_old_is_deleted_and_its_rows_stay(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    old = await painted(store, folder, 91)
    undelivered = await painted(store, folder, 91, delivered=False)
    new = await painted(store, folder, 89)
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 2
    assert files(folder) == {undelivered.id, new.id}
    assert not (folder / old.id).exists()
    assert (await store.job(old.id)).state is JobState.DELIVERED
    assert [bool(image.pruned_at) for image in await store.images(old.id)] == [True, True]
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 0


async def test_the_oldest_goes_first_when_there_is_too_much(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    jobs = [await painted(store, folder, days) for days in (3, 2, 1)]
    sizes = [image.bytes for job in jobs for image in await store.images(job.id)]
    keeper = housekeeping(store, folder, days=0, gib=(sum(sizes) - sizes[0]) / 2**30)
    assert await keeper.prune() == 1
    assert files(folder) == {job.id for job in jobs}
    keeper = housekeeping(store, folder, days=0, gib=sizes[-1] / 2**30)
    assert await keeper.prune() == 4
    assert files(folder) == {jobs[-1].id}


async def test_without_limits_everything_is_kept(store: Store, tmp_path: Path) -> None:
    job = await painted(store, tmp_path / "images", 10_000)
    assert await housekeeping(store, tmp_path / "images", days=0, gib=0).prune() == 0
    assert files(tmp_path / "images") == {job.id}


async def test_a_path_that_leaves_the_folder_is_not_followed(store: Store, tmp_path: Path) -> None:
    old = await painted(store, tmp_path / "images", 100)
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"x")
    await store._database.write(
        lambda write: write.execute("UPDATE images SET path = ? WHERE n = 0", (str(outside),))
    )
    assert await housekeeping(store, tmp_path / "images", days=90, gib=0).prune() == 1
    assert outside.exists()
    assert [bool(image.pruned_at) for image in await store.images(old.id)] == [False, True]


async def test_years_of_images_are_gone_through_page_by_page_and_no_further_than_needed(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    jobs = [await painted(store, folder, days) for days in (93, 92, 91, 9, 8)]
    pages = [page async for page in store.kept_images.pages(size=3)]
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [kept.job_id for page in pages for kept in page] == [
        job.id for job in jobs for _ in range(2)
    ]
    sizes = [image.bytes for job in jobs for image in await store.images(job.id)]
    assert await store.kept_images.bytes() == sum(sizes)
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 6
    assert await store.kept_images.bytes() == sum(sizes[6:])
    assert files(folder) == {job.id for job in jobs[3:]}


async def test_what_was_deleted_by_hand_is_noted(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    jobs = [await painted(store, folder, days) for days in (93, 92, 91)]
    shutil.rmtree(folder / jobs[1].id)
    keeper = housekeeping(store, folder, days=90, gib=0)
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
    assert await housekeeping(store, folder, days=90, gib=0).prune() == 3
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
FILES = st.lists(
    st.builds(
        KeptInput,
        file=st.builds(
            StoredInput, name=st.just("x"), bytes=st.integers(1, 100), given_at=st.just(0)
        ),
        ended_at=st.integers(0, 50),
        deletable=st.booleans(),
        unused=st.booleans(),
    )
).map(lambda files: sorted(files, key=lambda file: file.ended_at))


@given(IMAGES, FILES, st.integers(0, 60), st.none() | st.integers(0, 500), st.integers(1, 9))
def test_exactly_what_must_go_goes(
    images: list[KeptImage], inputs: list[KeptInput], before: int, limit: int | None, page: int
) -> None:
    everything: list[Kept] = [*images, *[kept for kept in inputs if not kept.unused]]
    everything.sort(key=lambda kept: kept.ended_at)
    pruning = Pruning(sum(kept.bytes for kept in everything), before=before, limit=limit)
    chosen: list[Kept] = []
    for begin in range(0, len(everything), page):
        chosen += pruning.choose(everything[begin : begin + page])
        if pruning.done:
            break
    left = [kept for kept in everything if not any(kept is one for one in chosen)]
    assert all(kept.deletable for kept in chosen)
    assert not [kept for kept in left if kept.deletable and kept.ended_at < before]
    if limit is not None and sum(kept.bytes for kept in left) > limit:
        assert not [kept for kept in left if kept.deletable]
    for kept in chosen:
        if kept.ended_at >= before:
            assert limit is not None
            younger = [one for one in chosen if one.ended_at > kept.ended_at]
            total = sum(one.bytes for one in (*left, *younger, kept))
            assert total > limit or any(one.ended_at == kept.ended_at for one in chosen)


async def test_a_day_has_one_backup(store: Store, tmp_path: Path) -> None:
    keeper = housekeeping(store, tmp_path / "images", days=0, gib=0)
    await keeper.tidy()
    await keeper.tidy()
    assert len(backups_of(tmp_path / "imagen.sqlite3")) == 1


async def test_it_does_no_more_once_it_is_cancelled(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    await painted(store, folder, 91)
    keeper = housekeeping(store, folder, days=90, gib=0)
    backing_up = asyncio.Event()

    async def never(_: object) -> None:
        backing_up.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "back_up", never)
    tidying = asyncio.create_task(keeper.tidy())
    await backing_up.wait()
    tidying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tidying
    assert len(files(folder)) == 1


@pytest.mark.parametrize("error", [StoreError("the disk is full"), KeyError("adapters")])
async def test_a_chore_that_fails_is_logged_and_the_others_are_done(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    async def failing(*_: object) -> int:
        raise error

    done: list[str] = []

    async def back_up(_: object) -> None:
        done.append("backup")

    monkeypatch.setattr("bot.files.housekeeping.erase_rest", failing)
    monkeypatch.setattr(store.forms, "drop_old", failing)
    monkeypatch.setattr(store, "back_up", back_up)
    folder = tmp_path / "images"
    await painted(store, folder, 91)
    keeper = housekeeping(store, folder, days=90, gib=0, history_days=30, outdated=failing)
    await keeper.tidy()
    assert done == ["backup"]
    assert files(folder) == set()
    for what in ("deletions", "old forms", "old jobs"):
        assert f"housekeeping, {what}: " in caplog.text
    await painted(store, folder, 91)
    monkeypatch.setattr(store, "back_up", failing)
    await keeper.tidy()
    assert files(folder) == set()
    assert "housekeeping, backup: " in caplog.text


async def test_a_deletion_that_was_cut_short_is_finished(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    job, other = [await painted(store, folder, 0) for _ in range(2)]
    assert await store.deletions.begin(job.id)
    blocked = folder / (await store.images(job.id))[0].path
    blocked.unlink()
    blocked.mkdir()  # as a file that cannot be deleted
    keeper = Housekeeping(store, folder, Inputs(tmp_path / "inputs"), days=0, gib=0)
    await keeper.tidy()
    assert await store.deletions.unfinished() == [job.id]
    blocked.rmdir()
    await keeper.tidy()
    assert await store.images(job.id) == ()
    assert await store.deletions.unfinished() == []
    assert not (folder / job.id).exists()
    assert len(list((folder / other.id).iterdir())) == 2


async def test_a_server_can_keep_its_images_for_a_shorter_time(
    store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    old, young, elsewhere = [await painted(store, folder, days) for days in (8, 6, 8)]
    communities = [("discord:1", old.id), ("discord:1", young.id), ("discord:2", elsewhere.id)]
    await store._database.write(
        lambda write: write.executemany("UPDATE jobs SET community = ? WHERE id = ?", communities)
    )
    await store._database.write(
        lambda write: write.executemany(
            "INSERT INTO level_settings VALUES ('server', ?, ?, ?, 1)",
            [
                ("discord:1", "discord:1", '{"keep_days": 7}'),
                ("discord:2", "discord:2", '{"spoiler": true}'),
            ],
        )
    )
    chores = Housekeeping(
        store,
        folder,
        Inputs(tmp_path / "inputs"),
        days=90,
        gib=0,
        by_community=store.levels.keep_days,
    )
    assert await chores.prune() == 2
    assert files(folder) == {young.id, elsewhere.id}
    assert await store.find(old.id) is not None


async def test_requests_are_kept_for_as_long_as_the_owner_says(
    store: Store, tmp_path: Path
) -> None:
    asked: list[int] = []

    async def outdated(before: int) -> int:
        asked.append(before)
        return 1

    for days in (0, 30):
        chores = Housekeeping(
            store,
            tmp_path / "images",
            Inputs(tmp_path / "inputs"),
            days=90,
            gib=0,
            history_days=days,
            outdated=outdated,
        )
        await chores.tidy()
    [before] = asked
    assert abs(before - (now_ms() - 30 * DAY_MS)) < DAY_MS
