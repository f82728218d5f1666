"""Jobs that are stopped or cancelled, and the consumer that is."""

import asyncio
import threading
from typing import Any

import pytest
from PIL.Image import Image

from bot.files import images as images_module
from bot.files.images import save_images
from bot.files.metadata import compress_png, read_png
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.request import GenerationRequest
from bot.store import Failure, Job, JobState
from bot.worker import consumer as consumer_module
from bot.worker import results as results_module
from bot.worker import workers as workers_module
from tests.store.factories import new_job, painting, request
from tests.worker.bench import Build, Gate
from tests.worker.fakes import CheckStop, Report, Watcher, paint_at_once

S = JobState


class TestStopping:
    async def test_a_job_past_its_time_fails(self, build: Build) -> None:
        def forever(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            while True:
                check()

        async with build(forever, timeout=0.01) as bench:
            job = await bench.ended(await bench.take())
            assert (job.state, job.error) == (S.FAILED, Failure("job.timeout", {"seconds": 0}))
            bench.engine.work = paint_at_once
            assert (await bench.store.job(await bench.take())).state is not S.FAILED

    async def test_the_clock_starts_after_a_download(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = 1000.0

        class Clock:
            @staticmethod
            def monotonic() -> float:
                return now

        def work(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            nonlocal now
            for _ in range(3):
                now += 599
                report(Progress(Stage.DOWNLOADING, fraction=0.5))
                check()
            now += 599
            check()
            return painting(asked)

        monkeypatch.setattr("bot.worker.attempt.time", Clock)
        async with build(work, timeout=600) as bench:
            assert (await bench.ended(await bench.take())).state is S.DONE
            bench.engine.work = lambda asked, report, check: late(check)

            def late(check: CheckStop) -> Painting:
                nonlocal now
                now += 601
                check()
                raise AssertionError

            assert (await bench.ended(await bench.take())).state is S.FAILED

    async def test_the_running_job_can_be_cancelled(self, build: Build) -> None:
        gate = Gate()
        async with build(gate) as bench:
            running, waiting = await bench.take(), await bench.take()
            await gate.entered()
            assert not bench.workers.cancel(waiting)
            assert not bench.workers.cancel("nobody")
            assert bench.workers.cancel(running)
            gate.go_on.set()
            assert (await bench.ended(running)).state is S.CANCELLED
            assert (await bench.ended(waiting)).state is S.DONE
            assert [job.id for job in bench.watcher.failed_jobs] == [running]
            assert bench.watcher.failed_jobs[0].error is None
            assert not bench.workers.cancel(running)

    async def test_a_job_is_withdrawn_wherever_it_is(self, build: Build) -> None:
        gate = Gate()
        async with build(gate) as bench:
            running, waiting, other = [await bench.take() for _ in range(3)]
            await gate.entered()
            withdrawn = await bench.workers.withdraw(waiting)
            assert withdrawn is not None
            assert withdrawn.state is S.CANCELLED
            assert [*bench.queue.places()] == [running, other]
            stopping = await bench.workers.withdraw(running)
            assert stopping is not None
            assert stopping.state is S.RUNNING
            gate.go_on.set()
            assert (await bench.ended(running)).state is S.CANCELLED
            assert (await bench.ended(other)).state is S.DONE
            assert {job.id for job in bench.watcher.failed_jobs} == {running, waiting}
            for ended in (running, waiting, other, "nobody"):
                assert await bench.workers.withdraw(ended) is None

    async def test_a_job_that_begins_while_it_is_withdrawn_stops_all_the_same(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        began, go_on = asyncio.Event(), asyncio.Event()
        async with build() as bench:
            really = bench.store.start

            async def start(*arguments: Any, **options: Any) -> Job | None:
                """The store says *running*, but the consumer does not know it yet."""
                started: Job | None = await really(*arguments, **options)
                began.set()
                await go_on.wait()
                return started

            monkeypatch.setattr(bench.store, "start", start)
            job_id = await bench.take()
            await began.wait()
            stopping = await bench.workers.withdraw(job_id)
            assert stopping is not None
            assert stopping.state is S.RUNNING
            go_on.set()
            assert (await bench.ended(job_id)).state is S.CANCELLED

    async def test_a_pause_lets_the_present_job_end_and_frees_the_gpu(self, build: Build) -> None:
        gate = Gate()
        async with build(gate) as bench:
            running, waiting = await bench.take(), await bench.take()
            await gate.entered()
            await bench.workers.pause()
            assert not bench.engine.rested.is_set()
            gate.go_on.set()
            assert (await bench.ended(running)).state is S.DONE
            assert await asyncio.to_thread(bench.engine.rested.wait, 20)
            late = await bench.take()
            for _ in range(20):
                await asyncio.sleep(0)
            for job_id in (waiting, late):
                assert (await bench.store.job(job_id)).state is S.PENDING
            assert all(place.paused for place in bench.queue.places().values())
            await bench.workers.unpause()
            for job_id in (waiting, late):
                assert (await bench.ended(job_id)).state is S.DONE


class TestShutdown:
    async def test_it_says_whether_it_takes_jobs(self, build: Build) -> None:
        async with build() as bench:
            await bench.ended(await bench.take())
            assert bench.workers.taking_jobs
            await bench.stop()
            assert not bench.workers.taking_jobs

    async def test_an_idle_consumer_ends(self, build: Build) -> None:
        async with build() as bench:
            await bench.stop()
            assert not bench.workers.taking_jobs
            assert bench.engine.closed

    async def test_the_running_job_stops_at_its_step_and_waits_again(self, build: Build) -> None:
        gate = Gate()
        async with build(gate) as bench:
            running, waiting = await bench.take(), await bench.take()
            await gate.entered()
            stopping = asyncio.ensure_future(bench.stop())
            await asyncio.sleep(0)
            gate.go_on.set()
            await stopping
            for job_id in (running, waiting):
                assert (await bench.store.job(job_id)).state is S.PENDING
            assert bench.engine.closed
            assert bench.watcher.failed_jobs == bench.watcher.finished_jobs == []

    async def test_a_painter_that_never_returns_is_left_behind(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumer_module, "GRACE", 0.01)
        monkeypatch.setattr(workers_module, "GRACE", 0.01)
        gate = Gate()
        try:
            async with build(gate) as bench:
                job_id = await bench.take()
                await gate.entered()
                await bench.stop()
                assert not bench.workers.taking_jobs
                assert (await bench.store.job(job_id)).state is S.PENDING
                assert not bench.engine.closed
        finally:
            gate.go_on.set()

    async def test_a_warm_up_that_never_returns_is_left_behind(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumer_module, "GRACE", 0.01)
        monkeypatch.setattr(workers_module, "GRACE", 0.01)
        go_on = threading.Event()
        try:
            async with build() as bench:
                monkeypatch.setattr(bench.engine, "warm_up", lambda: go_on.wait(30))
                bench.workers.warm_up()
                async with asyncio.timeout(10):
                    await bench.stop()
        finally:
            go_on.set()

    async def test_a_painting_that_is_being_saved_is_kept(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        saving, go_on = threading.Event(), threading.Event()
        really = save_images

        def slow(*arguments: Any) -> Any:
            saving.set()
            assert go_on.wait(30)
            return really(*arguments)

        monkeypatch.setattr(results_module, "save_images", slow)
        async with build() as bench:
            job_id = await bench.take()
            assert await asyncio.to_thread(saving.wait, 20)
            stopping = asyncio.ensure_future(bench.stop())
            await asyncio.sleep(0)
            go_on.set()
            await stopping
            assert (await bench.store.job(job_id)).state is S.DONE
            assert [job.id for job in bench.watcher.finished_jobs] == [job_id]

    async def test_an_image_is_compressed_while_the_next_is_generated(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compressed = threading.Event()

        def compress(image: Image) -> bytes:
            data = compress_png(image)
            compressed.set()
            return data

        def work(asked: GenerationRequest, report: Report, check_stop: CheckStop) -> Painting:
            made = painting(asked)
            bench.engine.painted(made.images[0])
            # The second image is on its way here.
            assert compressed.wait(30)
            bench.engine.painted(made.images[1])
            return made

        monkeypatch.setattr(images_module, "compress_png", compress)
        async with build(work) as bench:
            job = await bench.ended(await bench.take(new_job(request=request(count=2))))
            assert job.state is S.DONE
            files = sorted((bench.images / job.id).iterdir())
            assert [read_png(file.read_bytes()).seed for file in files] == [42, 43]

    async def test_a_notice_on_its_way_is_waited_for_but_not_for_ever(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumer_module, "GRACE", 0.02)
        monkeypatch.setattr(workers_module, "GRACE", 0.02)
        never = asyncio.Event()

        class Slow(Watcher):
            async def finished(self, job: Job) -> None:
                await super().finished(job)
                await never.wait()

        async with build(watcher=Slow()) as bench:
            await bench.ended(await bench.take())
            async with asyncio.timeout(10):
                await bench.stop()
            # It does not outlive the store either.
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not [task for task in others if "finished" in repr(task)]

    async def test_the_order_of_stopping_does_not_matter(self, build: Build) -> None:
        """A stop that comes n turns of the loop after the release, wherever that is."""
        for turns in range(0, 60, 3):
            async with build() as bench:
                job_id = await bench.take()
                for _ in range(turns):
                    await asyncio.sleep(0)
                await bench.stop()
                state = (await bench.store.job(job_id)).state
                assert state in (S.PENDING, S.DONE)
                # Nothing is left that takes the job for running.
                assert await bench.store.jobs_in(S.RUNNING, "discord") == []
