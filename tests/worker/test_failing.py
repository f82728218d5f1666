"""Jobs that fail, engines that are lost, and observers and stores that fail beside them."""

import errno
import logging
import os
import sqlite3
import threading
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.errors import EngineLost, JobFailed, Loss, StoreError
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.request import GenerationRequest, InitImage
from bot.store import Failure, Job, JobState
from bot.worker import consumer as consumer_module
from bot.worker import workers as workers_module
from tests.store.factories import CANARY, new_job, painting, request
from tests.worker.bench import Build, Gate
from tests.worker.fakes import CheckStop, Report, Watcher, eventually, paint_at_once

S = JobState


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
            await bench.store._database.write(
                lambda write: write.execute("PRAGMA busy_timeout = 1")
            )
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
