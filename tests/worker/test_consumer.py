"""The consumer, with an engine that does what tests tell it to."""

import asyncio
import errno
import hashlib
import logging
import os
import sqlite3
import threading
from dataclasses import replace
from typing import Any, cast

import pytest
from PIL.Image import Image

from bot.backoff import Backoff
from bot.errors import EngineLost, JobFailed, Loss, StoreError
from bot.files import images as images_module
from bot.files.images import save_images
from bot.files.metadata import compress_png, read_png
from bot.log import job_of
from bot.order import Order
from bot.painting import Painting
from bot.progress import Notice, Progress, Stage
from bot.recipe import Environment, environment_id
from bot.request import AdapterUse, GenerationRequest, InitImage
from bot.store import ELSEWHERE, Failure, Job, JobState
from bot.worker import consumer as consumer_module
from bot.worker import results as results_module
from bot.worker import workers as workers_module
from catalog import Catalog, LiveCatalog
from catalog.unread import Unread
from tests.catalog.fixed import Fixed
from tests.store.factories import CANARY, new_job, painting, request
from tests.worker.bench import Build, Gate
from tests.worker.fakes import (
    ADAPTERS,
    CATALOG,
    MODEL,
    CheckStop,
    Report,
    Watcher,
    eventually,
    paint_at_once,
)

S = JobState


class TestOrdering:
    async def test_the_engine_is_given_all_that_the_request_names(self, build: Build) -> None:
        threads = []

        def picture(sha256: str) -> bytes:
            threads.append(threading.current_thread().name)
            return sha256.encode()

        asked = request(init_image=InitImage("a" * 64, 0.5))
        async with build(picture=picture) as bench:
            job = await bench.ended(await bench.take(new_job(request=asked)))
        assert job.state is S.DONE
        pictures = {"a" * 64: b"a" * 64}
        expected = Order(asked, MODEL, (ADAPTERS["ink"],), None, pictures, name=f"{job.id}:1")
        assert bench.engine.orders == [expected]
        assert threads == bench.engine.threads  # never on the event loop

    async def test_what_is_gone_fails_the_job(self, build: Build) -> None:
        def picture(sha256: str) -> bytes:
            raise FileNotFoundError(sha256)

        asked = request(init_image=InitImage("a" * 64, 0.5))
        async with build(picture=picture) as bench:
            job = await bench.ended(await bench.take(new_job(request=asked)))
        assert job.error == Failure("picture.gone", {})
        assert not bench.engine.orders


class TestUnreadFiles:
    @pytest.fixture
    def catalog(self, monkeypatch: pytest.MonkeyPatch) -> Fixed:
        """Of a bot that has read nothing yet."""
        monkeypatch.setattr("bot.worker.painter.WATCH", 0.01)
        return Fixed(Catalog({}, {}, "", unread=(Unread("adapter", ("any.safetensors",)),)))

    async def waiting(self, caplog: pytest.LogCaptureFixture) -> None:
        async with asyncio.timeout(30):
            while "waiting until the model files are read" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def test_a_job_waits_for_what_it_names(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            assert not bench.engine.orders
            catalog.current = replace(CATALOG, unread=catalog.current.unread)
            job = await bench.ended(job_id)
        assert job.state is S.DONE

    async def test_it_fails_once_all_is_read_and_it_is_in_no_file(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            catalog.current = Catalog({}, {}, "")
            job = await bench.ended(job_id)
        assert job.error is not None
        assert job.error.code == "model.gone"

    async def test_it_can_be_cancelled_meanwhile(
        self, build: Build, catalog: Fixed, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "bot.worker")
        async with build(catalog=cast("LiveCatalog", catalog)) as bench:
            job_id = await bench.take()
            await self.waiting(caplog)
            bench.workers.cancel(job_id)
            job = await bench.ended(job_id)
        assert job.state is S.CANCELLED


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


class TestFailing:
    async def test_a_user_error_is_a_failure_with_its_code(self, build: Build) -> None:
        def work(*_: Any) -> Painting:
            raise JobFailed("memory.out", width=64, height=48)

        async with build(work) as bench:
            job = await bench.ended(await bench.take())
        assert job.state is S.FAILED
        assert job.error == Failure("memory.out", {"width": 64, "height": 48})
        assert bench.watcher.failed_jobs == [job]
        assert bench.watcher.finished_jobs == []

    @pytest.mark.parametrize(
        "prompt", [CANARY, f"{CANARY} 'quoted' \"twice\"\nand two lines", f"été {CANARY} 日本"]
    )
    async def test_anything_else_is_logged_with_the_id_and_without_the_prompt(
        self, build: Build, prompt: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = request(prompt=prompt, negative=f"no {CANARY}")

        def work(*_: Any) -> Painting:
            try:
                raise KeyError(asked.prompt)
            except KeyError as error:
                words = f"{asked.painted_prompt} | {asked.negative!r} | {[asked.prompt]}"
                raise RuntimeError(words) from error

        caplog.set_level(logging.DEBUG)
        async with build(work) as bench:
            job = await bench.ended(await bench.take(new_job(request=asked)))
            assert job.error == Failure("job.unexpected", {"id": job.id})
            bench.engine.work = paint_at_once
            assert (await bench.ended(await bench.take())).state is S.DONE
        ours = "\n".join(
            caplog.handler.format(record)
            for record in caplog.records
            if record.name.startswith("bot")
        )
        assert job.id in ours
        assert "RuntimeError" in ours
        assert "KeyError" in ours
        assert CANARY not in ours

    async def test_a_file_that_cannot_be_read_now_is_waited_for(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.worker.painter.PAUSES", (0, 0))
        left = [errno.EMFILE, errno.EIO]

        def work(asked: GenerationRequest, *_: Any) -> Painting:
            if left:
                number = left.pop()
                raise OSError(number, os.strerror(number))
            return painting(asked)

        async with build(work) as bench:
            job = await bench.ended(await bench.take())
        assert (job.state, job.attempt) == (S.DONE, 1)
        assert "Too many open files" in caplog.text

    async def test_but_not_for_ever(self, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("bot.worker.painter.PAUSES", (0, 0))

        def work(*_: Any) -> Painting:
            raise OSError(errno.EIO, "Input/output error")

        async with build(work) as bench:
            job = await bench.ended(await bench.take())
        assert job.error == Failure("job.files", {"reason": "Input/output error"})
        assert len(bench.engine.orders) == 3

    async def test_who_cancels_meanwhile_does_not_wait(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.painter.PAUSES", (1_000,))

        def work(*_: Any) -> Painting:
            raise OSError(errno.EMFILE, "Too many open files")

        async with build(work) as bench:
            job_id = await bench.take()
            await eventually(lambda: bool(bench.engine.orders))
            assert bench.workers.cancel(job_id)
            assert (await bench.ended(job_id)).state is S.CANCELLED

    @pytest.mark.parametrize(
        ("number", "code"), [(errno.ENOENT, "picture.gone"), (errno.EACCES, "job.files")]
    )
    async def test_only_a_picture_that_is_absent_is_gone(
        self, build: Build, number: int, code: str
    ) -> None:
        def unread(sha256: str) -> bytes:
            raise OSError(number, os.strerror(number))

        async with build(picture=unread) as bench:
            asked = new_job(request=request(init_image=InitImage("a" * 64, 0.5)))
            job = await bench.ended(await bench.take(asked))
        assert job.error is not None
        assert job.error.code == code

    async def test_files_that_cannot_be_written_wait_for_the_disk(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        async with build() as bench:
            bench.images.write_text("a file where a folder should be")
            job_id = await bench.take()
            await eventually(lambda: "generated, but its result cannot be saved" in caplog.text)
            assert (await bench.store.job(job_id)).state is S.RUNNING
            bench.images.unlink()
            assert (await bench.ended(job_id)).state is S.DONE
        assert "the files cannot be written" in caplog.text
        assert "it works again" in caplog.text

    async def test_a_store_that_cannot_be_written_is_waited_for(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        gate = Gate()
        async with build(gate) as bench:
            job_id = await bench.take()
            await gate.entered()
            async with bench.store._database.transaction() as write:
                await write.execute("PRAGMA busy_timeout = 1")
            other = sqlite3.connect(bench.store._database.path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            gate.go_on.set()
            await eventually(lambda: "the database is locked" in caplog.text)
            other.execute("ROLLBACK")
            other.close()
            job = await bench.ended(job_id)
        assert (job.state, job.attempt) == (S.DONE, 1)

    async def test_what_cannot_be_kept_is_dropped_when_its_person_cancels(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        async with build() as bench:
            bench.images.write_text("a file where a folder should be")
            job_id = await bench.take()
            await eventually(lambda: "cannot be saved" in caplog.text)
            assert bench.workers.cancel(job_id)
            assert (await bench.ended(job_id)).state is S.CANCELLED

    async def test_files_that_no_row_speaks_of_are_deleted(
        self, build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))

        async def locked(*_: object) -> Job | None:
            raise StoreError("locked")

        async with build() as bench:
            monkeypatch.setattr(bench.store, "finish", locked)
            job_id = await bench.take()
            await eventually(lambda: "cannot be saved" in caplog.text)
            assert [*(bench.images / job_id).iterdir()]
            assert bench.workers.cancel(job_id)
            assert (await bench.ended(job_id)).state is S.CANCELLED
            assert not [*bench.images.iterdir()]


class TestLosing:
    """Only a fresh process can generate again."""

    async def test_a_lost_device_counts_against_the_job_and_ends_the_painting(
        self, build: Build
    ) -> None:
        def work(*_: Any) -> Painting:
            raise EngineLost(Loss.DEVICE, "the GPU failed: ECC")

        async with build(work) as bench:
            first, second = await bench.take(), await bench.take()
            lost = await bench.workers.lost()
            await eventually(lambda: not bench.workers.taking_jobs)
            job, waiting = [await bench.store.job(job_id) for job_id in (first, second)]
        assert (lost.loss, str(lost)) == (Loss.DEVICE, "the GPU failed: ECC")
        assert (job.state, job.crashes, job.lost_to) == (S.PENDING, 1, Loss.DEVICE)
        assert (waiting.state, waiting.crashes) == (S.PENDING, 0)
        assert not bench.engine.closed

    async def test_a_step_that_hangs_is_noticed(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.painter.WATCH", 0.01)
        monkeypatch.setattr("bot.worker.attempt.STEP_MIN", 0.0)
        hangs = threading.Event()

        def work(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            for step in (1, 2):
                report(Progress(Stage.PAINTING, step=step, steps=10))
            hangs.wait(30)
            return painting(asked)

        async with build(work) as bench:
            job_id = await bench.take()
            lost = await bench.workers.lost()
            await eventually(lambda: not bench.workers.taking_jobs)
            hangs.set()
            job = await bench.store.job(job_id)
        assert lost.loss is Loss.HUNG
        assert job_id in str(lost)
        assert (job.state, job.crashes, job.lost_to) == (S.PENDING, 1, Loss.HUNG)


class Raising(Watcher):
    """An observer that fails."""

    def moved(self, places: dict[str, Progress]) -> None:
        super().moved(places)
        raise RuntimeError("moved")

    def progressed(self, job: Job, progress: Progress) -> None:
        super().progressed(job, progress)
        raise RuntimeError("progressed")

    async def finished(self, job: Job) -> None:
        await super().finished(job)
        raise RuntimeError("finished")

    async def failed(self, job: Job) -> None:
        await super().failed(job)
        raise RuntimeError("failed")


class TestRobustness:
    async def test_an_observer_that_raises_does_not_stop_the_consumer(
        self, build: Build, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(workers_module, "TELL_AFTER", 0)
        async with build(watcher=Raising()) as bench:
            for _ in range(3):
                job = await bench.ended(await bench.take())
                assert job.state is S.DONE
            bench.engine.work = raise_job_failed
            assert (await bench.ended(await bench.take())).state is S.FAILED
            await bench.watcher.until(lambda: bench.watcher.places)
            assert bench.workers.taking_jobs
        for what in ("moved", "progressed", "finished", "failed"):
            assert f"RuntimeError: {what}" in caplog.text

    async def test_a_database_that_is_locked_for_a_while_does_not_stop_the_consumer(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumer_module, "PAUSE", 0.0)
        async with build() as bench:
            really, failures = bench.store.start, iter([True, True])

            async def start(*arguments: Any, **options: Any) -> Job | None:
                if next(failures, False):
                    raise sqlite3.OperationalError("database is locked")
                started: Job | None = await really(*arguments, **options)
                return started

            monkeypatch.setattr(bench.store, "start", start)
            assert (await bench.ended(await bench.take())).state is S.DONE


def raise_job_failed(*_: Any) -> Painting:
    raise JobFailed("memory.out")


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
