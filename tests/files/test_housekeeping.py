"""Old images are deleted, their rows stay; tokens are erased in time."""

import asyncio
import io
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.errors import StoreError
from bot.files.housekeeping import DAY_MS, Housekeeping, InputsOfCancelled
from bot.files.images import save_images
from bot.files.inputs import Inputs, StoredInput
from bot.files.pruning import Kept, KeptInput, Pruning
from bot.request import InitImage, Reference
from bot.store import Failure, InteractionToken, Job, JobState, KeptImage, Store, now_ms
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


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def housekeeping(store: Store, folder: Path, *, days: float, gib: float) -> Housekeeping:
    return Housekeeping(store, folder, Inputs(folder.parent / "inputs"), days=days, gib=gib)


def files(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.rglob("*.png")}


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
    async with store._database.transaction() as write:
        await write.execute("UPDATE images SET path = ? WHERE n = 0", (str(outside),))
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


class TestInputs:
    """Input images are kept for as long as what was made from them, and not a byte beyond."""

    @pytest.fixture
    def inputs(self, tmp_path: Path) -> Inputs:
        return Inputs(tmp_path / "inputs")

    async def asked(self, store: Store, inputs: Inputs, shade: int, days_ago: float = 0) -> Job:
        """A waiting job with an input image of that shade, both of that age."""
        sha256 = await inputs.keep(png(shade))
        job = await store.accept(new_job(request=request(init_image=InitImage(sha256, 0.6))))
        then = now_ms() - int(days_ago * DAY_MS)
        async with store._database.transaction() as write:
            await write.execute("UPDATE jobs SET created_at = ? WHERE id = ?", (then, job.id))
        os.utime(inputs.path(sha256), (then / 1000, then / 1000))
        return await store.job(job.id)

    async def ended(self, store: Store, job: Job, state: JobState) -> Job:
        async with store._database.transaction() as write:
            await write.execute(
                "UPDATE jobs SET state = ?, finished_at = created_at WHERE id = ?", (state, job.id)
            )
        return await store.job(job.id)

    def file(self, inputs: Inputs, job: Job) -> Path:
        return inputs.path(job.request.inputs[0])

    @pytest.mark.parametrize(
        ("state", "kept"),
        [
            (JobState.PENDING, True),
            (JobState.RUNNING, True),
            (JobState.DONE, True),
            (JobState.DELIVERED, False),
            (JobState.FAILED, False),
            (JobState.CANCELLED, False),
        ],
    )
    async def test_they_go_with_their_days_unless_a_job_still_needs_them(
        self, store: Store, inputs: Inputs, tmp_path: Path, state: JobState, kept: bool
    ) -> None:
        old = await self.ended(store, await self.asked(store, inputs, 1, 91), state)
        young = await self.asked(store, inputs, 2, 89)
        await self.ended(store, young, JobState.DELIVERED)
        assert await housekeeping(store, tmp_path / "images", days=90, gib=0).prune() == (not kept)
        assert self.file(inputs, old).exists() is kept
        assert self.file(inputs, young).exists()

    async def test_a_younger_job_keeps_the_image_of_an_older_one(
        self, store: Store, inputs: Inputs, tmp_path: Path
    ) -> None:
        old = await self.ended(store, await self.asked(store, inputs, 1, 91), JobState.DELIVERED)
        await self.ended(store, await self.asked(store, inputs, 1, 1), JobState.DELIVERED)
        os.utime(self.file(inputs, old), (1, 1))
        assert await housekeeping(store, tmp_path / "images", days=90, gib=0).prune() == 0

    async def test_their_bytes_count(self, store: Store, inputs: Inputs, tmp_path: Path) -> None:
        folder = tmp_path / "images"
        oldest = await self.ended(store, await self.asked(store, inputs, 1, 3), JobState.DELIVERED)
        image = await painted(store, folder, 2)
        newest = await self.ended(store, await self.asked(store, inputs, 2, 1), JobState.FAILED)
        sizes = [image.bytes for image in await store.images(image.id)]
        total = sum(sizes) + sum(self.file(inputs, job).stat().st_size for job in (oldest, newest))
        keeper = housekeeping(store, folder, days=0, gib=(total - 1) / 2**30)
        assert await keeper.prune() == 1
        assert not self.file(inputs, oldest).exists()
        keeper = housekeeping(store, folder, days=0, gib=1 / 2**30)
        assert await keeper.prune() == 3
        assert not self.file(inputs, newest).exists()

    async def test_what_no_job_wants_goes_within_two_hours(
        self, store: Store, inputs: Inputs, tmp_path: Path
    ) -> None:
        cancelled = await self.asked(store, inputs, 1, 0.1)
        await self.ended(store, cancelled, JobState.CANCELLED)
        forgotten, given_now = [inputs.path(await inputs.keep(png(shade))) for shade in (2, 3)]
        part = forgotten.with_name(f"{'a' * 64}.png.part")  # left by a crash
        part.touch()
        other = forgotten.with_name("notes.txt")
        other.touch()
        for path in (forgotten, part, other):
            os.utime(path, (1, 1))
        assert await housekeeping(store, tmp_path / "images", days=0, gib=0).prune() == 3
        assert set(given_now.parent.iterdir()) == {given_now, other}

    async def test_one_given_again_meanwhile_stays(
        self, store: Store, inputs: Inputs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        path = inputs.path(await inputs.keep(png(1)))
        os.utime(path, (1, 1))
        stored = inputs.stored

        async def then_again() -> list[StoredInput]:
            found = await stored()
            await inputs.keep(png(1))
            return found

        keeper = Housekeeping(store, tmp_path / "images", inputs, days=1, gib=0)
        monkeypatch.setattr(inputs, "stored", then_again)
        assert await keeper.prune() == 0
        assert path.exists()


class TestCancelled:
    """Asking with an image and cancelling, again and again, leaves nothing behind."""

    async def test_its_image_goes_at_once(self, store: Store, tmp_path: Path) -> None:
        inputs = Inputs(tmp_path / "inputs")
        observer = InputsOfCancelled(store, inputs)
        for shade in range(3):
            sha256 = await inputs.keep(png(shade))
            job = await store.accept(new_job(request=request(init_image=InitImage(sha256, 0.6))))
            cancelled = await store.cancel(job)
            assert cancelled is not None
            await observer.failed(cancelled)
            assert list((tmp_path / "inputs").iterdir()) == []

    async def test_unless_another_job_may_need_it(self, store: Store, tmp_path: Path) -> None:
        inputs = Inputs(tmp_path / "inputs")
        observer = InputsOfCancelled(store, inputs)
        sha256 = await inputs.keep(png(1))
        asked = new_job(request=request(init_image=InitImage(sha256, 0.6)))
        first = await store.accept(asked)
        other = await store.accept(new_job(request=request(reference=Reference(sha256, 0.6))))
        cancelled = await store.cancel(first)
        assert cancelled is not None
        await observer.failed(cancelled)
        assert inputs.path(sha256).exists()
        failed = await store.fail(other, Failure("job.timeout", {"seconds": 1}))
        assert failed is not None
        await observer.failed(failed)  # it can be tried again
        assert inputs.path(sha256).exists()

    async def test_or_it_was_given_again_for_a_job_to_come(
        self, store: Store, tmp_path: Path
    ) -> None:
        inputs = Inputs(tmp_path / "inputs")
        sha256 = await inputs.keep(png(1))
        job = await store.accept(new_job(request=request(init_image=InitImage(sha256, 0.6))))
        later = job.created_at / 1000 + 1
        os.utime(inputs.path(sha256), (later, later))
        cancelled = await store.cancel(job)
        assert cancelled is not None
        await InputsOfCancelled(store, inputs).failed(cancelled)
        assert inputs.path(sha256).exists()


async def test_a_day_has_one_backup(store: Store, tmp_path: Path) -> None:
    keeper = housekeeping(store, tmp_path / "images", days=0, gib=0)
    await keeper.tidy()
    await keeper.tidy()
    assert len(backups_of(tmp_path / "imagen.sqlite3")) == 1


async def test_it_prunes_even_if_the_backup_failed_but_not_once_it_is_cancelled(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    await painted(store, folder, 91)
    keeper = housekeeping(store, folder, days=90, gib=0)
    backing_up = asyncio.Event()

    async def never(_: object) -> None:
        backing_up.set()
        await asyncio.Event().wait()

    async def failing(_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "back_up", never)
    tidying = asyncio.create_task(keeper.tidy())
    await backing_up.wait()
    tidying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tidying
    assert len(files(folder)) == 1
    monkeypatch.setattr(store, "back_up", failing)
    with pytest.raises(StoreError):
        await keeper.tidy()
    assert files(folder) == set()


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


@pytest.mark.parametrize("out_of_reach", ["hidden", "absent"])
async def test_a_result_that_only_its_token_reaches_keeps_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out_of_reach: str
) -> None:
    asked = InteractionToken((now_ms() - DISCORD_EPOCH) << 22, "a-secret")
    job = await running(store, new_job(interaction=asked, **{out_of_reach: True}))
    result = painting()
    done = await store.finish(job, result.recipe, save_images(result, job, tmp_path), [])
    assert done is not None
    await store.deliver(done, 1, 2)
    await store.messages.erase_tokens()
    assert await store.messages.token(job.id) == asked.token
    late = now_ms() + TOKEN_MS + 1
    monkeypatch.setattr("bot.store.messages.now_ms", lambda: late)
    await store.messages.erase_tokens()
    assert await store._database.rows("SELECT * FROM tokens") == []


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
    for job, community in ((old, "discord:1"), (young, "discord:1"), (elsewhere, "discord:2")):
        values = (community, job.id)
        async with store._database.transaction() as write:
            await write.execute("UPDATE jobs SET community = ? WHERE id = ?", values)
    async with store._database.transaction() as write:
        await write.executemany(
            "INSERT INTO level_settings VALUES ('server', ?, ?, ?, 1)",
            [
                ("discord:1", "discord:1", '{"keep_days": 7}'),
                ("discord:2", "discord:2", '{"spoiler": true}'),
            ],
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
