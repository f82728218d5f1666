"""The next job is generated while the last one is being saved."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.errors import EngineLost, JobFailed, Loss
from bot.files.images import save_images
from bot.painting import Painting
from bot.progress import Stage
from bot.request import GenerationRequest
from bot.store import ImageRecord, Job, JobState, NewJob, Store
from bot.worker import consumer as consumer_module
from bot.worker import results as results_module
from bot.worker import saving as saving_module
from bot.worker import workers as workers_module
from tests.queue.lanes import ORIGINS
from tests.store.factories import new_job, painting, request, running
from tests.worker.bench import Bench, Build, Gate
from tests.worker.fakes import eventually

S = JobState


class Disk:
    """Takes files only once it may `go_on`; notes the seeds of the jobs that it is given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.go_on = threading.Event()

    def __call__(self, made: Painting, job: Job, *where: Any) -> tuple[ImageRecord, ...]:
        self.given.append(job.request.seed)
        assert self.go_on.wait(30)
        return save_images(made, job, *where)


class Engine:
    """Generates at once, except for the seeds in `gates`; notes the seeds that it is given."""

    def __init__(self, **gates: Callable[..., Painting]) -> None:
        self.given: list[int] = []
        self.gates = gates

    def __call__(self, asked: GenerationRequest, *calls: Any) -> Painting:
        self.given.append(asked.seed)
        if (gate := self.gates.get(f"seed{asked.seed}")) is not None:
            return gate(asked, *calls)
        return painting(asked)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    monkeypatch.setattr(results_module, "save_images", disk)
    yield disk
    disk.go_on.set()


def of(seed: int) -> NewJob:
    return new_job(request=request(seed=seed))


async def taken(bench: Bench, count: int) -> list[str]:
    """Ids of so many jobs, with the seeds 1, 2, …"""
    return [await bench.take(of(seed)) for seed in range(1, count + 1)]


async def states(bench: Bench, job_ids: list[str]) -> list[JobState]:
    return [(await bench.store.job(job_id)).state for job_id in job_ids]


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def has_reported(bench: Bench, job_id: str, stage: Stage) -> bool:
    return any(job == job_id and said.stage is stage for job, said in bench.watcher.reports)


class TestOverlap:
    async def test_the_next_job_begins_before_the_last_one_is_done(
        self, build: Build, disk: Disk
    ) -> None:
        gate = Gate()
        async with build(Engine(seed2=gate)) as bench:
            first, second, third = await taken(bench, 3)
            await gate.entered()
            saved = await bench.store.job(first)
            assert saved.state is S.RUNNING
            assert saved.painted_at is not None
            assert [job.id for job in bench.queue.running] == [first, second]
            assert [*bench.queue.places()] == [first, second, third]
            assert bench.watcher.finished_jobs == []
            disk.go_on.set()
            assert (await bench.ended(first)).state is S.DONE
            assert [*bench.queue.places()] == [second, third]
            gate.go_on.set()
            jobs = [await bench.ended(job_id) for job_id in (first, second, third)]
        assert [job.attempt for job in jobs] == [1, 1, 1]
        assert [job.id for job in bench.watcher.finished_jobs] == [first, second, third]

    async def test_no_job_is_done_before_its_files_are_whole(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checked: list[str] = []
        async with build() as bench:
            really = bench.store.finish

            async def finish(job: Job, recipe: Any, images: Any, *more: Any) -> Job | None:
                for image in images:
                    data = (bench.images / image.path).read_bytes()
                    assert hashlib.sha256(data).hexdigest() == image.sha256
                checked.append(job.id)
                done: Job | None = await really(job, recipe, images, *more)
                return done

            monkeypatch.setattr(bench.store, "finish", finish)
            job_ids = await taken(bench, 6)
            assert [(await bench.ended(job_id)).state for job_id in job_ids] == [S.DONE] * 6
        assert checked == job_ids

    async def test_the_lane_is_at_most_one_job_ahead_of_the_disk(
        self, build: Build, disk: Disk
    ) -> None:
        engine = Engine()
        async with build(engine) as bench:
            first, second, third = await taken(bench, 3)
            await bench.watcher.until(lambda: has_reported(bench, second, Stage.SAVING))
            await settled()
            assert (engine.given, disk.given) == ([1, 2], [1])
            assert await states(bench, [first, second, third]) == [S.RUNNING, S.RUNNING, S.PENDING]
            disk.go_on.set()
            await bench.ended(third)
        assert engine.given == disk.given == [1, 2, 3]

    async def test_what_counts_for_the_forecast_is_how_long_the_lane_was_taken(
        self, build: Build, disk: Disk
    ) -> None:
        gate = Gate()
        async with build(Engine(seed2=gate)) as bench:
            first, _ = await taken(bench, 2)
            await gate.entered()
            painted = await bench.store.job(first)
            disk.go_on.set()
            gate.go_on.set()
            done = await bench.ended(first)
            [learnt, *_] = await bench.store.painted(ORIGINS)
        assert done.painted_at == painted.painted_at
        assert done.finished_at >= done.painted_at
        assert learnt.seconds == done.lane_seconds

    async def test_a_failure_is_told_after_the_result_of_the_job_before(
        self, build: Build, disk: Disk
    ) -> None:
        def fail(*_: Any) -> Painting:
            raise JobFailed("memory.out")

        engine = Engine(seed2=fail)
        async with build(engine) as bench:
            first, second = await taken(bench, 2)
            await eventually(lambda: engine.given == [1, 2])
            await settled()
            assert bench.watcher.failed_jobs == []
            disk.go_on.set()
            await bench.ended(second)
            assert [job.id for job in bench.watcher.finished_jobs] == [first]

    async def test_one_that_was_tried_before_keeps_its_lane_until_it_is_saved(
        self, build: Build, disk: Disk
    ) -> None:
        engine = Engine()
        async with build(engine) as bench:
            await bench.workers.pause()
            again = await running(bench.store, of(1))
            pending = await bench.store.requeue(again)
            assert pending is not None
            await bench.queue.line_up([pending])
            next_one = await bench.take(of(2))
            await bench.workers.unpause()
            await eventually(lambda: disk.given == [1])
            await settled()
            assert engine.given == [1]
            assert await states(bench, [again.id, next_one]) == [S.RUNNING, S.PENDING]
            disk.go_on.set()
            await bench.ended(next_one)
        assert engine.given == [1, 2]


class TestFaults:
    async def test_a_full_disk_loses_neither_and_keeps_their_order(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        async with build() as bench:
            bench.images.write_text("a file where a folder should be")
            job_ids = await taken(bench, 3)
            await bench.watcher.until(lambda: has_reported(bench, job_ids[1], Stage.SAVING))
            await eventually(lambda: "generated, but its result cannot be saved" in caplog.text)
            assert await states(bench, job_ids) == [S.RUNNING, S.RUNNING, S.PENDING]
            bench.images.unlink()
            jobs = [await bench.ended(job_id) for job_id in job_ids]
        assert [(job.state, job.attempt) for job in jobs] == [(S.DONE, 1)] * 3
        assert [job.id for job in bench.watcher.finished_jobs] == job_ids

    async def test_the_one_that_waits_for_the_disk_can_be_cancelled(
        self, build: Build, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(saving_module, "LOOK", 0.01)
        async with build() as bench:
            first, second = await taken(bench, 2)
            await bench.watcher.until(lambda: has_reported(bench, second, Stage.SAVING))
            left = await bench.workers.withdraw(second)
            assert left is not None
            assert left.state is S.RUNNING
            assert (await bench.ended(second)).state is S.CANCELLED
            assert await states(bench, [first]) == [S.RUNNING]
            disk.go_on.set()
            assert (await bench.ended(first)).state is S.DONE
            assert [file.name for file in bench.images.iterdir()] == [first]

    async def test_the_one_that_cannot_be_saved_can_be_cancelled(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        gate = Gate()
        async with build(Engine(seed2=gate)) as bench:
            bench.images.write_text("a file where a folder should be")
            first, second = await taken(bench, 2)
            await gate.entered()
            await eventually(lambda: "cannot be saved" in caplog.text)
            assert bench.workers.cancel(first)
            assert (await bench.ended(first)).state is S.CANCELLED
            bench.images.unlink()
            gate.go_on.set()
            assert (await bench.ended(second)).state is S.DONE

    async def test_one_that_is_being_saved_all_right_is_not_stopped_any_more(
        self, build: Build, disk: Disk
    ) -> None:
        gate = Gate()
        async with build(Engine(seed2=gate)) as bench:
            first, second = await taken(bench, 2)
            await gate.entered()
            assert await bench.workers.withdraw(first) is not None
            disk.go_on.set()
            gate.go_on.set()
            assert (await bench.ended(first)).state is S.DONE
            assert (await bench.ended(second)).state is S.DONE
            assert bench.workers._withdrawn == set()

    async def test_what_is_being_saved_when_the_engine_is_lost_is_kept(
        self, build: Build, disk: Disk
    ) -> None:
        def lose(*_: Any) -> Painting:
            raise EngineLost(Loss.DEVICE, "the GPU failed")

        async with build(Engine(seed2=lose)) as bench:
            first, second = await taken(bench, 2)
            await bench.workers.lost()
            assert await states(bench, [first, second]) == [S.RUNNING, S.PENDING]
            stopping = asyncio.ensure_future(bench.stop())
            await settled()
            disk.go_on.set()
            await stopping
            assert await states(bench, [first, second]) == [S.DONE, S.PENDING]
            assert [job.id for job in bench.watcher.finished_jobs] == [first]
            jobs = [await bench.store.job(job_id) for job_id in (first, second)]
        assert [job.crashes for job in jobs] == [0, 1]
        assert not bench.engine.closed


class TestShutdown:
    async def test_one_is_saved_and_the_other_stops_at_its_step(
        self, build: Build, disk: Disk
    ) -> None:
        gate = Gate()
        async with build(Engine(seed2=gate)) as bench:
            job_ids = await taken(bench, 2)
            await gate.entered()
            stopping = asyncio.ensure_future(bench.stop())
            await settled()
            gate.go_on.set()
            await settled()
            disk.go_on.set()
            await stopping
            assert await states(bench, job_ids) == [S.DONE, S.PENDING]
            assert bench.engine.closed
            assert [job.id for job in bench.watcher.finished_jobs] == job_ids[:1]

    @pytest.mark.parametrize("painting_too", [True, False])
    async def test_neither_is_waited_for_for_ever(
        self, build: Build, disk: Disk, monkeypatch: pytest.MonkeyPatch, painting_too: bool
    ) -> None:
        monkeypatch.setattr(consumer_module, "GRACE", 0.01)
        monkeypatch.setattr(workers_module, "GRACE", 0.01)
        gate = Gate()
        try:
            async with build(Engine(seed2=gate)) as bench:
                job_ids = await taken(bench, 2 if painting_too else 1)
                if painting_too:
                    await gate.entered()
                else:
                    await eventually(lambda: disk.given == [1])
                await bench.stop()
                assert not bench.workers.taking_jobs
                assert await states(bench, job_ids) == [S.PENDING] * len(job_ids)
                assert bench.engine.closed is not painting_too
                # Nothing outlives the store.
                others = asyncio.all_tasks() - {asyncio.current_task()}
                assert not [task for task in others if "_save" in repr(task)]
                disk.go_on.set()
                await asyncio.get_running_loop().shutdown_default_executor()
                # It comes back too late to write anything into the store.
                assert await states(bench, job_ids) == [S.PENDING] * len(job_ids)
        finally:
            gate.go_on.set()

    @pytest.mark.long
    async def test_its_turn_of_stopping_does_not_matter(self, build: Build) -> None:
        for turns in range(0, 120, 5):
            async with build() as bench:
                job_ids = await taken(bench, 3)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await bench.stop()
                assert set(await states(bench, job_ids)) <= {S.PENDING, S.DONE}
                told = {job.id for job in bench.watcher.finished_jobs}
                done = await bench.store.jobs_in(S.DONE, ORIGINS)
                assert {job.id for job in done} & {*job_ids} == told & {*job_ids}


class TestBlame:
    async def both_at_once(self, store: Store) -> tuple[Job, Job]:
        """One that is being saved, and the next."""
        first = await running(store)
        waiting = await store.accept(new_job())
        second = await store.start(waiting.id, saving=[replace(first, painted_at=1)])
        assert second is not None
        return await store.job(first.id), second

    async def test_only_the_one_that_was_being_generated_is_suspected(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            before = await self.both_at_once(store)
            await store.requeue_all(ORIGINS)
            saved, painted = [await store.job(job.id) for job in before]
            assert [job.state for job in (saved, painted)] == [S.PENDING] * 2
            assert (saved.crashes, saved.lost_to, saved.suspect) == (0, None, False)
            assert (painted.crashes, painted.own_crashes, painted.suspect) == (1, 0, True)
            # A new attempt is to blame again.
            assert (await store.start(saved.id)).painted_at is None  # type: ignore[union-attr]
            await store.requeue_all(ORIGINS)
            assert (await store.job(saved.id)).crashes == 1

    async def test_it_is_as_sure_as_if_that_one_had_been_alone(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            before = await self.both_at_once(store)
            await store.requeue_all(ORIGINS, own=True)
            saved, painted = [await store.job(job.id) for job in before]
        assert (saved.crashes, saved.own_crashes) == (0, 0)
        assert (painted.crashes, painted.own_crashes) == (1, 1)

    async def test_one_that_has_ended_meanwhile_is_left_as_it_is(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            first = await running(store)
            cancelled = await store.cancel(first)
            waiting = await store.accept(new_job())
            assert await store.start(waiting.id, saving=[replace(first, painted_at=1)])
            assert await store.job(first.id) == cancelled

    @pytest.mark.long
    async def test_a_command_line_that_died_is_judged_likewise(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            saved, painted = await self.both_at_once(store)
            for job in (saved, painted):
                await store.witness(job)
            assert (await store.job(saved.id)).crashes == 0
            assert (await store.job(painted.id)).crashes == 1
