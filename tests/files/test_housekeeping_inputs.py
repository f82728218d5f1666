"""Input images that nothing needs any more are deleted, and no others."""

import os
from pathlib import Path

import pytest

from bot.files.housekeeping import DAY_MS, Housekeeping, InputsOfCancelled
from bot.files.inputs import Inputs, StoredInput
from bot.request import InitImage, Reference
from bot.store import Failure, Job, JobState, Store, now_ms
from tests.files.keeping import housekeeping, painted, png
from tests.store.factories import new_job, request


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
        await store._database.write(
            lambda write: write.execute(
                "UPDATE jobs SET created_at = ? WHERE id = ?", (then, job.id)
            )
        )
        os.utime(inputs.path(sha256), (then / 1000, then / 1000))
        return await store.job(job.id)

    async def ended(self, store: Store, job: Job, state: JobState) -> Job:
        await store._database.write(
            lambda write: write.execute(
                "UPDATE jobs SET state = ?, finished_at = created_at WHERE id = ?", (state, job.id)
            )
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
