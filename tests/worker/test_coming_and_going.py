"""Lanes that are drained, removed and added while the bot runs."""

import asyncio
import errno
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.errors import EngineLost, Loss, PaintStopped, StoreError
from bot.files.images import save_images
from bot.painting import Painting
from bot.queue import Lane
from bot.request import GenerationRequest
from bot.store import JobState as S
from bot.store import Store
from tests.queue.lanes import of
from tests.store.factories import painting
from tests.worker.bench import Gate
from tests.worker.fakes import CheckStop, FakeEngine, Report, eventually
from tests.worker.fleet import MortalEngine, apart, lanes_of
from tests.worker.test_comparing import SIX, asked

pytestmark = pytest.mark.usefixtures("at_once")


class TestComingAndGoing:
    async def test_a_draining_lane_finishes_what_it_has_and_takes_no_more(
        self, tmp_path: Path
    ) -> None:
        gate = Gate()
        [lane] = apart()
        async with lanes_of(tmp_path, [lane], [gate]) as lanes:
            running = await lanes.take()
            await gate.entered()
            waiting = await lanes.take(of(2))
            lanes.queue.drain(lane)
            gate.go_on.set()
            assert (await lanes.ended(running)).state is S.DONE
            lanes.engines[0].work = lambda asked, *_: painting(asked)
            await asyncio.sleep(0)
            assert (await lanes.store.job(waiting)).state is S.PENDING
            assert lanes.queue.places()[waiting].ready_at is None
            lanes.queue.resume(lane)
            assert (await lanes.ended(waiting)).state is S.DONE

    async def test_the_job_of_a_lane_that_is_removed_goes_to_another(self, tmp_path: Path) -> None:
        def slow(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            began.append(asked.seed)
            while True:
                check()

        began: list[int] = []
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [slow]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(lambda: bool(began))
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
            assert lanes.queue.lanes == (second,)
            await lanes.workers.remove(first)  # as if it had not been there
        assert (job.state, job.lane, job.crashes) == (S.DONE, "b", 0)
        assert lanes.engines[0].closed

    async def test_an_engine_that_is_lost_while_its_lane_is_removed_loses_no_job(
        self, tmp_path: Path
    ) -> None:
        def die(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            began.append(asked.seed)
            with suppress(PaintStopped):
                while True:
                    check()
            raise EngineLost(Loss.WORKER, "the worker is gone", sure=False)

        began: list[int] = []
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [die]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(lambda: bool(began))
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
        # Or a job that ends each of its workers would never be found out.
        assert (job.state, job.lane, job.attempt, job.crashes) == (S.DONE, "b", 2, 1)

    async def test_the_job_of_a_lane_that_does_not_stop_goes_to_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)
        gate = Gate()

        def deaf(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            return gate(asked, report, lambda: None)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [deaf]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await gate.entered()
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
            gate.go_on.set()
            assert (job.state, job.lane, job.attempt, job.crashes) == (S.DONE, "b", 2, 0)

    async def test_an_engine_that_is_stuck_when_the_bot_stops_is_ended(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)

        def stuck(*_: Any) -> Painting:
            began.set()
            assert lanes.engines[0].given_up.wait(30)
            raise EngineLost(Loss.HUNG, "it was given up")

        began = threading.Event()
        async with lanes_of(tmp_path, apart(), [stuck]) as lanes:
            job_id = await lanes.take()
            await eventually(began.is_set)
        async with Store.open(tmp_path / "x.sqlite3") as store:
            job = await store.job(job_id)
        assert lanes.engines[0].given_up.is_set()
        assert (job.state, job.crashes) == (S.PENDING, 0)

    async def test_a_job_that_is_cancelled_while_its_lane_is_removed_is_not_generated_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.2)
        gate = Gate()

        def deaf(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            return gate(asked, report, lambda: None)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [deaf]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await gate.entered()
            lanes.queue.resume(second)
            removing = asyncio.create_task(lanes.workers.remove(first))
            await asyncio.sleep(0)
            assert await lanes.workers.withdraw(job_id) is not None
            await removing
            job = await lanes.ended(job_id)
            gate.go_on.set()
        assert job.state is S.CANCELLED
        assert not lanes.watcher.finished_jobs

    async def test_its_job_is_lost_neither_where_the_store_refuses_for_a_moment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        began = threading.Event()

        def slow(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            began.set()
            while True:
                check()

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [slow]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(began.is_set)
            refuse(lanes.store, "requeue", 2, monkeypatch)
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
        assert (job.state, job.lane) == (S.DONE, "b")

    async def test_nor_where_it_is_just_being_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second]) as lanes:
            really, starting, go_on = lanes.store.start, asyncio.Event(), asyncio.Event()

            async def start(*arguments: Any, **named: Any) -> Any:
                started = await really(*arguments, **named)
                starting.set()
                await go_on.wait()
                return started

            monkeypatch.setattr(lanes.store, "start", start)
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await starting.wait()
            refuse(lanes.store, "requeue", 2, monkeypatch)
            removing = asyncio.create_task(lanes.workers.remove(first))
            await asyncio.sleep(0.01)
            go_on.set()
            await removing
            lanes.queue.resume(second)
            job = await lanes.ended(job_id)
        assert (job.state, job.lane) == (S.DONE, "b")

    async def test_nor_where_writing_that_takes_longer_than_it_is_waited_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)
        dying = Gate()

        def die(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            dying(asked, report, lambda: None)
            raise EngineLost(Loss.WORKER, "the worker is gone", sure=False)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [die]) as lanes:
            really, written = lanes.store.lose, asyncio.Event()

            async def lose(*arguments: Any, **named: Any) -> Any:
                again = await really(*arguments, **named)
                written.set()
                await asyncio.sleep(10)  # until it is cancelled
                return again

            monkeypatch.setattr(lanes.store, "lose", lose)
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await dying.entered()
            dying.go_on.set()
            await written.wait()
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
        assert (job.state, job.lane, job.attempt, job.crashes) == (S.DONE, "b", 2, 1)

    async def test_a_job_that_was_cancelled_before_its_lane_is_removed_is_not_generated_elsewhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)
        gate = Gate()

        def deaf(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            return gate(asked, report, lambda: None)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [deaf]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await gate.entered()
            assert await lanes.workers.withdraw(job_id) is not None
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            job = await lanes.ended(job_id)
            gate.go_on.set()
        assert job.state is S.CANCELLED
        assert not lanes.watcher.finished_jobs

    async def test_what_is_being_saved_when_its_lane_is_removed_is_saved_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        really, saving, disk_full = save_images, threading.Event(), threading.Event()
        disk_full.set()

        def save(*arguments: Any) -> Any:
            saving.set()
            if disk_full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return really(*arguments)

        monkeypatch.setattr("bot.worker.results.save_images", save)
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(saving.is_set)
            lanes.queue.resume(second)
            await lanes.workers.remove(first)
            assert lanes.queue.lanes == (second,), "its name is free"
            assert job_id in lanes.queue
            disk_full.clear()
            job = await lanes.ended(job_id)
        assert (job.state, job.lane, job.attempt) == (S.DONE, "a", 1)
        assert not lanes.engines[1].orders

    async def test_the_bot_does_not_stop_later_because_of_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.consumer.GRACE", 0.05)
        monkeypatch.setattr("bot.store.retrying.PAUSES", Backoff(0.01))
        saving = threading.Event()

        def save(*_: Any) -> Any:
            saving.set()
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("bot.worker.results.save_images", save)
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(saving.is_set)
            await lanes.workers.remove(first)
        async with Store.open(tmp_path / "x.sqlite3") as store:
            assert (await store.job(job_id)).state is S.PENDING

    async def test_a_lane_that_comes_takes_what_waits(self, tmp_path: Path) -> None:
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first]) as lanes:
            lanes.queue.drain(first)
            job_id = await lanes.take()
            engine = MortalEngine()
            lanes.workers.add(second, engine)
            assert (await lanes.ended(job_id)).lane == "b"
            with pytest.raises(ValueError, match="'b'"):
                lanes.workers.add(Lane("b"), engine)

    async def test_a_comparison_goes_on_elsewhere_with_the_cells_that_are_missing(
        self, tmp_path: Path
    ) -> None:
        cells: list[int] = []
        resumed = threading.Event()

        def dies_at_the_third(request: GenerationRequest, *_: Any) -> Painting:
            cells.append(request.steps)
            if len(cells) == 3:
                assert resumed.wait(60)  # the other lane may take it
                raise EngineLost(Loss.WORKER, "the worker is gone", sure=False)
            return painting(request)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [dies_at_the_third]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take(asked(SIX))
            await eventually(lambda: bool(cells))
            lanes.queue.resume(second)
            resumed.set()
            job = await lanes.ended(job_id)
            images = await lanes.store.images(job.id)
        assert (job.state, job.lane, job.attempt) == (S.DONE, "b", 2)
        assert len(images) == 7
        assert [len(engine.orders) for engine in lanes.engines] == [3, 4]

    async def test_the_loss_of_a_lane_that_came_later_ends_the_process_too(
        self, tmp_path: Path
    ) -> None:
        def die(*_: Any) -> Painting:
            raise EngineLost(Loss.DEVICE, "the GPU failed")

        async with lanes_of(tmp_path, apart()) as lanes:
            lost = asyncio.create_task(lanes.workers.lost())
            await asyncio.sleep(0)
            lanes.queue.drain(lanes.queue.lanes[0])
            lanes.workers.add(Lane("b"), FakeEngine(die))
            await lanes.take()
            assert (await asyncio.wait_for(lost, 20)).loss is Loss.DEVICE


def refuse(store: Store, change: str, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the store refuse so many of these changes."""
    really, left = getattr(store, change), iter(range(times))

    async def refused(*arguments: Any, **named: Any) -> Any:
        if next(left, None) is not None:
            raise StoreError("the disk is full")
        return await really(*arguments, **named)

    monkeypatch.setattr(store, change, refused)
