"""The consumer while all goes well, with an engine that does what tests tell it to."""

import asyncio
import hashlib
import logging
import threading
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import JobFailed
from bot.log import job_of
from bot.painting import Painting
from bot.progress import Notice, Progress, Stage
from bot.queue.estimate import ENOUGH
from bot.recipe import Environment, environment_id
from bot.request import AdapterUse, GenerationRequest
from bot.store import ELSEWHERE, Job, JobState
from bot.worker import workers as workers_module
from tests.store.factories import new_job, painting, request
from tests.worker.bench import Build, Gate
from tests.worker.fakes import CheckStop, Report, Watcher

S = JobState


class TestPainting:
    async def test_a_job_ends_done_with_its_files(
        self, build: Build, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        notice = Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})
        async with build(lambda asked, *_: painting(asked, notice)) as bench:
            job = await bench.ended(await bench.take(new_job(request=request(count=2))))
            images = await bench.store.images(job.id)
        assert job.state is S.DONE
        assert job.warnings == (notice,)
        assert f"job {job.id}: adapter.partial {notice.params}" in caplog.text
        assert len(images) == 2
        for image in images:
            data = (bench.images / image.path).read_bytes()
            assert hashlib.sha256(data).hexdigest() == image.sha256
        assert [done.id for done in bench.watcher.finished_jobs] == [job.id]
        assert bench.watcher.failed_jobs == []

    @pytest.mark.parametrize(
        ("changed", "device"),
        [({}, None), ({"torch": "2.14.0"}, None), ({"device_name": "A100"}, "A100")],
    )
    async def test_a_repetition_says_that_another_kind_of_device_made_it(
        self, build: Build, changed: dict[str, str], device: str | None
    ) -> None:
        """The verdict names what else has changed, and then only if the pixels have, too."""
        here = {"torch": "2.13.0", "device": "cuda", "device_name": "RTX 3060"}

        def work(asked: GenerationRequest, *_: Any) -> Painting:
            made = painting(asked)
            return replace(made, recipe=replace(made.recipe, environment=dict(here)))

        asked = request(environment=environment_id(here))
        async with build(work) as bench:
            parent = await bench.ended(await bench.take())
            here |= changed
            again = new_job(request=asked, kind="reroll", parent_id=parent.id)
            job = await bench.ended(await bench.take(again))
            await bench.ended(await bench.take(new_job(request=asked, kind="reroll")))
        notice = Notice(ELSEWHERE, {"device": device or ""})
        assert job.warnings == ((notice,) if device else ())
        assert job.request == asked
        # The engine is not asked for another image because of where it is wanted.
        assert [order.request for order in bench.engine.orders] == [request()] * 3
        # From now on, the queue knows where to repeat what was generated here.
        assert [lane.environment for lane in bench.queue.lanes] == [
            Environment(environment_id(here))
        ]

    async def test_the_queue_knows_where_to_repeat_something_before_anything_was_generated(
        self, build: Build
    ) -> None:
        async with build() as bench:
            [lane] = bench.queue.lanes
            warm = threading.Event()
            bench.engine.environment = told = Environment("as in the recipes")
            bench.engine.preloading = lambda _: warm.set()
            bench.workers.warm_up()
            assert await asyncio.to_thread(warm.wait, 10)
        assert lane.environment == told

    async def test_jobs_are_painted_in_their_order_in_one_thread(self, build: Build) -> None:
        seeds: list[int] = []

        def work(asked: GenerationRequest, *_: Any) -> Painting:
            seeds.append(asked.seed)
            return painting(asked)

        async with build(work) as bench:
            bench.workers.warm_up()
            ids = [await bench.take(new_job(request=request(seed=n))) for n in range(5)]
            for job_id in ids:
                await bench.ended(job_id)
        assert seeds == [0, 1, 2, 3, 4]
        assert [done.id for done in bench.watcher.finished_jobs] == ids
        assert len(set(bench.engine.threads)) == 1
        assert bench.engine.threads[0].startswith("engine")
        assert bench.engine.warm

    async def test_what_is_logged_while_it_paints_names_the_job(self, build: Build) -> None:
        """In the engine thread, and in the observer's calls."""
        noted: list[tuple[str, str]] = []

        class Noting(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                noted.append((record.getMessage(), job_of(record)))

        log = logging.getLogger("bot.anything")
        log.addHandler(handler := Noting())

        def work(asked: GenerationRequest, report: Report, check_stop: CheckStop) -> Painting:
            log.warning("painting")
            return painting(asked)

        class Telling(Watcher):
            async def finished(self, job: Job) -> None:
                log.warning("telling")
                await super().finished(job)

        try:
            async with build(work, watcher=Telling()) as bench:
                jobs = [await bench.take() for _ in range(2)]
                for job_id in jobs:
                    await bench.ended(job_id)
        finally:
            log.removeHandler(handler)
        assert sorted(noted) == sorted((what, j) for j in jobs for what in ("painting", "telling"))

    async def test_what_a_waiting_job_needs_is_read_meanwhile(self, build: Build) -> None:
        gate = Gate()
        async with build(gate) as bench:
            await bench.take()
            await gate.entered()
            waiting = [
                (AdapterUse("ink", 1.0),),
                (AdapterUse("gone", 1.0), AdapterUse("fine", 1.0)),
            ]
            ids = [await bench.take(new_job(request=request(adapters=uses))) for uses in waiting]
            fetched: list[str] = []
            while fetched != ["fine"]:
                thread, fetched = await asyncio.to_thread(bench.engine.fetched.get, timeout=20)
                assert thread.startswith("reader")
            assert not bench.watcher.finished_jobs
            gate.go_on.set()
            await bench.ended(ids[-1])

    async def test_reading_ahead_that_fails_costs_nothing(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        gate, tried = Gate(), threading.Event()

        def fail(*_: Any) -> None:
            tried.set()
            raise OSError("the disk is gone")

        async with build(gate) as bench:
            monkeypatch.setattr(bench.engine, "prefetch", fail)
            await bench.take()
            await gate.entered()
            job_id = await bench.take()
            assert await asyncio.to_thread(tried.wait, 20)
            gate.go_on.set()
            assert (await bench.ended(job_id)).state is S.DONE
        assert "reading ahead failed" in caplog.text

    async def test_the_default_model_is_there_before_anybody_asks(self, build: Build) -> None:
        async with build() as bench:
            loading = threading.Event()
            bench.engine.preloading = lambda _: loading.set()
            bench.workers.warm_up()
            assert await asyncio.to_thread(loading.wait, 20)
            assert (await bench.ended(await bench.take())).state is S.DONE
            assert len(set(bench.engine.threads)) == 1

    @pytest.mark.parametrize("error", [JobFailed("model.gone", model="x"), OSError("broken")])
    async def test_a_default_model_that_cannot_be_loaded_is_logged(
        self, build: Build, caplog: pytest.LogCaptureFixture, error: Exception
    ) -> None:
        def fail(_: CheckStop) -> None:
            raise error

        async with build() as bench:
            bench.engine.preloading = fail
            bench.workers.warm_up()
            assert (await bench.ended(await bench.take())).state is S.DONE
        assert "the default model cannot be loaded" in caplog.text

    async def test_loading_the_default_model_stops_with_the_bot(
        self, build: Build, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        loading, go_on = threading.Event(), threading.Event()

        def load(check_stop: CheckStop) -> None:
            loading.set()
            assert go_on.wait(20)
            check_stop()
            pytest.fail("it went on")

        async with build() as bench:
            bench.engine.preloading = load
            bench.workers.warm_up()
            assert await asyncio.to_thread(loading.wait, 20)
            stopping = asyncio.ensure_future(bench.stop())
            await asyncio.sleep(0)
            go_on.set()
            await stopping
        assert "stopped while the default model was loading" in caplog.text

    async def test_the_gpu_rests_when_nobody_asks(self, build: Build) -> None:
        async with build(idle=0.02) as bench:
            assert await asyncio.to_thread(bench.engine.rested.wait, 20)
            assert bench.engine.threads[0].startswith("engine")
            assert (await bench.ended(await bench.take())).state is S.DONE

    async def test_everyone_is_told_their_new_place(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers_module, "TELL_AFTER", 0)
        monkeypatch.setattr(workers_module, "SHARE", 0)
        gate = Gate()
        async with build(gate) as bench:
            first, second, third = [await bench.take() for _ in range(3)]
            await gate.entered()
            assert [*bench.queue.places()] == [first, second, third]
            # The user whose job is running sees its steps instead.
            await bench.watcher.until(lambda: [second, third] in bench.watcher.places)
            gate.go_on.set()
            await bench.ended(third)
            await bench.watcher.until(lambda: bench.watcher.places[-1] == [])
        told = [places for places in bench.watcher.places if len(places) < 2]
        assert [third] in told

    async def test_places_are_told_again_once_a_running_job_takes_longer_than_was_told(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers_module, "PASSED_AFTER", 0)
        gate = Gate()
        async with build(gate) as bench:
            gate.go_on.set()
            for _ in range(ENOUGH):
                await bench.ended(await bench.take())
            gate.go_on.clear()
            gate.began.clear()
            _, second = [await bench.take() for _ in range(2)]
            await gate.entered()
            await bench.watcher.until(lambda: bench.watcher.places[-5:] == [[second]] * 5)
            gate.go_on.set()
            await bench.ended(second)

    async def test_progress_arrives_on_the_loop_in_order(self, build: Build) -> None:
        def work(asked: GenerationRequest, report: Report, _: CheckStop) -> Painting:
            for step in range(1, 6):
                report(Progress(Stage.PAINTING, step=step, steps=5))
            return painting(asked)

        async with build(work) as bench:
            job_id = await bench.take()
            await bench.ended(job_id)
        assert bench.watcher.threads == {threading.get_ident()}
        assert {job for job, _ in bench.watcher.reports} == {job_id}
        stages = [progress.stage for _, progress in bench.watcher.reports]
        assert stages == [Stage.STARTING, *[Stage.PAINTING] * 5, Stage.SAVING]
        steps = [p.step for _, p in bench.watcher.reports if p.stage is Stage.PAINTING]
        assert steps == [1, 2, 3, 4, 5]

    async def test_a_report_after_the_end_is_dropped(self, build: Build) -> None:
        kept: list[Report] = []

        def work(asked: GenerationRequest, report: Report, _: CheckStop) -> Painting:
            kept.append(report)
            return painting(asked)

        async with build(work) as bench:
            await bench.ended(await bench.take())
            before = list(bench.watcher.reports)
            kept[0](Progress(Stage.PAINTING, step=9))
            await asyncio.sleep(0)
            assert bench.watcher.reports == before
