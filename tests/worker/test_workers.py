"""Two lanes at work in parallel, each found by its job."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot import supervision
from bot.backoff import Backoff
from bot.errors import AnsweredElsewhere, EngineLost, JobFailed, Loss
from bot.painting import Painting
from bot.queue import JobQueue, Lane
from bot.request import GenerationRequest
from bot.store import Job, JobState, Store
from bot.worker.consumer import GpuConsumer
from bot.worker.notices import Notices
from bot.worker.workers import Workers
from tests.catalog.fixed import fixed
from tests.queue.lanes import entered, of
from tests.store.factories import painting
from tests.worker.checking import inspector
from tests.worker.fakes import CATALOG, CheckStop, FakeEngine, Report, Watcher, eventually


class Held:
    """Work that goes on until it is released, or stopped."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.go_on = threading.Event()

    def __call__(self, asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
        self.began.append(asked.seed)
        while not self.go_on.wait(0.01):
            check()
        return painting(asked)


@dataclass
class TwoLanes:
    store: Store
    queue: JobQueue
    workers: Workers
    engines: list[FakeEngine]
    watcher: Watcher
    stop: Any

    def ended(self) -> int:
        return len(self.watcher.finished_jobs) + len(self.watcher.failed_jobs)


@asynccontextmanager
async def two_lanes(folder: Path, work: Any) -> AsyncIterator[TwoLanes]:
    async with Store.open(folder / "x.sqlite3") as store:
        queue = JobQueue(store, [Lane("gpu0"), Lane("gpu1")])
        engines = [FakeEngine(work), FakeEngine(work)]
        watcher, notices, withdrawn = Watcher(), Notices(), set[str]()
        consumers = [
            GpuConsumer(
                lane=lane,
                queue=queue,
                store=store,
                engine=engine,
                catalog=fixed(CATALOG),
                picture=lambda _: b"",
                observer=watcher,
                notices=notices,
                inspector=inspector(store),
                withdrawn=withdrawn,
                images_dir=folder / "images",
                timeout=600,
            )
            for lane, engine in zip(queue.lanes, engines, strict=True)
        ]
        workers = Workers(queue, store, watcher, notices, consumers, withdrawn)
        async with AsyncExitStack() as running:
            await running.enter_async_context(workers.running())
            yield TwoLanes(store, queue, workers, engines, watcher, running.aclose)


async def test_two_jobs_run_at_once_each_in_the_thread_of_its_lane(tmp_path: Path) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        await entered(lanes.queue, of(1), of(2), of(3))
        await eventually(lambda: len(held.began) == 2)
        assert len(lanes.queue.running) == 2
        held.go_on.set()
        await eventually(lambda: lanes.ended() == 3)
        used = [{*engine.threads} for engine in lanes.engines]
    assert [len(threads) for threads in used] == [1, 1]
    assert [next(iter(t)).rpartition("_")[0] for t in used] == ["engine-gpu0", "engine-gpu1"]
    assert len(lanes.watcher.finished_jobs) == 3


async def test_cancelling_finds_the_lane_that_has_the_job(tmp_path: Path) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        first, second, waiting = await entered(lanes.queue, of(1), of(2), of(3))
        await eventually(lambda: len(held.began) == 2)
        left = await lanes.workers.withdraw(second)
        assert left is not None
        assert left.state is JobState.RUNNING
        # Its lane goes on with the waiting job.
        await eventually(lambda: len(held.began) == 3)
        assert (await lanes.store.job(second)).state is JobState.CANCELLED
        assert {job.id for job in lanes.queue.running} == {first, waiting}
        assert not lanes.workers.cancel("unknown")
        held.go_on.set()
        await eventually(lambda: lanes.ended() == 3)


async def test_a_stop_ends_both_and_their_jobs_wait_again(tmp_path: Path) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        ids = await entered(lanes.queue, of(1), of(2))
        await eventually(lambda: len(held.began) == 2)
        await lanes.stop()
        assert not lanes.workers.taking_jobs
        assert [(await lanes.store.job(job_id)).state for job_id in ids] == [JobState.PENDING] * 2
        assert all(engine.closed for engine in lanes.engines)


async def test_a_pause_holds_both_and_lets_both_rest(tmp_path: Path) -> None:
    async with two_lanes(tmp_path, lambda asked, *_: painting(asked)) as lanes:
        await lanes.workers.pause()
        await entered(lanes.queue, of(1), of(2))
        for engine in lanes.engines:
            assert await asyncio.to_thread(engine.rested.wait, 20)
        assert lanes.ended() == 0
        await lanes.workers.unpause()
        await eventually(lambda: lanes.ended() == 2)


async def test_one_lost_engine_is_told_and_the_other_goes_on(tmp_path: Path) -> None:
    begun: list[int] = []

    def work(asked: GenerationRequest, *_: Any) -> Painting:
        begun.append(asked.seed)
        if len(begun) == 1:
            raise EngineLost(Loss.DEVICE, "the GPU failed")
        return painting(asked)

    async with two_lanes(tmp_path, work) as lanes:
        [bad] = await entered(lanes.queue, of(1))
        lost = await asyncio.wait_for(lanes.workers.lost(), 20)
        assert lost.loss is Loss.DEVICE
        [good] = await entered(lanes.queue, of(2))
        await eventually(lambda: lanes.ended() == 1)
        assert [job.id for job in lanes.watcher.finished_jobs] == [good]
        assert (await lanes.store.job(bad)).state is JobState.PENDING
        assert (await lanes.store.job(bad)).lost_to is Loss.DEVICE


@pytest.mark.parametrize("lane", [0, 1])
async def test_reading_ahead_is_left_to_the_lane_that_has_the_model(
    tmp_path: Path, lane: int
) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        await entered(lanes.queue, of(1), of(2))
        await eventually(lambda: len(held.began) == 2)
        for engine in lanes.engines:
            while not engine.fetched.empty():
                engine.fetched.get()
        for n, each in enumerate(lanes.queue.lanes):
            each.loaded = lambda n=n: "demo" if n == lane else "other"
        await entered(lanes.queue, of(3))
        await asyncio.to_thread(lanes.engines[lane].fetched.get, timeout=20)
        assert lanes.engines[1 - lane].fetched.empty()
        held.go_on.set()
        await eventually(lambda: lanes.ended() == 3)


async def test_a_job_that_ends_while_it_is_cancelled_is_not_said_to_be_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        [job_id] = await entered(lanes.queue, of(1))
        await eventually(lambda: len(held.began) == 1)
        really = lanes.store.job

        async def job_then_ended(wanted: str) -> Job:
            job = await really(wanted)
            if not held.go_on.is_set():
                held.go_on.set()
                await eventually(lambda: lanes.ended() == 1 and not lanes.queue.running)
            return job

        monkeypatch.setattr(lanes.store, "job", job_then_ended)
        assert await lanes.workers.withdraw(job_id) is None
        assert lanes.workers._withdrawn == set()
        assert (await really(job_id)).state is JobState.DONE


@pytest.mark.long
async def test_a_running_job_that_another_copy_has_answered_stops_and_tells_nobody(
    tmp_path: Path,
) -> None:
    held = Held()
    async with two_lanes(tmp_path, held) as lanes:
        asked = of(1)

        async def ask() -> None:
            async with lanes.queue.accepting(asked):
                lanes.queue.release(asked.id)
                await eventually(lambda: len(held.began) == 1)
                raise AnsweredElsewhere

        with pytest.raises(AnsweredElsewhere):
            await ask()
        await eventually(lambda: not lanes.queue.running)
        assert (await lanes.store.job(asked.id)).state is JobState.CANCELLED
        assert lanes.ended() == 0


class TestTasksBeside:
    async def test_places_are_told_again_after_a_failure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(supervision, "PAUSES", Backoff(0))
        held = Held()
        async with two_lanes(tmp_path, held) as lanes:
            real, failed = lanes.queue.parts, 0

            def parts() -> Any:
                nonlocal failed
                failed += 1
                if failed == 1:
                    raise RuntimeError("a bug in the forecast")
                return real()

            monkeypatch.setattr(lanes.queue, "parts", parts)
            await entered(lanes.queue, of(1), of(2), of(3))
            await eventually(lambda: failed > 0)
            await entered(lanes.queue, of(4))
            await lanes.watcher.until(lambda: lanes.watcher.places)
            assert "telling places: failed" in caplog.text
            assert "a bug in the forecast" in caplog.text
            held.go_on.set()

    async def test_a_lane_whose_consumer_fails_takes_jobs_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(supervision, "PAUSES", Backoff(0))
        real, left = JobQueue.leave, 0

        def leave(queue: JobQueue, job_id: str) -> None:
            nonlocal left
            left += 1
            real(queue, job_id)
            if left == 1:
                raise RuntimeError("a bug in the queue")

        monkeypatch.setattr(JobQueue, "leave", leave)
        async with two_lanes(tmp_path, lambda *_: _fails()) as lanes:
            await entered(lanes.queue, of(1), of(2), of(3))
            await lanes.watcher.until(lambda: lanes.ended() == 3)
            await eventually(lambda: lanes.workers.taking_jobs)
        assert "a bug in the queue" in caplog.text


def _fails() -> Painting:
    raise JobFailed("model.broken", model="demo")
