"""Lanes that lose their engine: what becomes of the job, and of the lane."""

import asyncio
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.errors import EngineLost, JobFailed, Loss
from bot.painting import Painting
from bot.progress import Progress, Stage
from bot.queue import LaneState
from bot.request import GenerationRequest
from bot.store import JobState as S
from bot.store.jobs import GIVEN_BACK_MAX
from tests.queue.lanes import of
from tests.store.factories import painting
from tests.worker.bench import Gate
from tests.worker.fakes import CheckStop, Report, Work, eventually
from tests.worker.fleet import apart, lanes_of

pytestmark = pytest.mark.usefixtures("at_once")


@dataclass
class Dies:
    """An engine that dies at its first `times` jobs."""

    times: int = 1
    loss: Loss = Loss.DIED
    sure: bool = False
    innocent: bool = False
    seeds: list[int] = field(default_factory=list)

    def __call__(self, asked: GenerationRequest, *_: Any) -> Painting:
        self.seeds.append(asked.seed)
        if len(self.seeds) <= self.times:
            raise EngineLost(
                self.loss, "the engine has died", sure=self.sure, innocent=self.innocent
            )
        return painting(asked)


class TestLosing:
    async def test_the_job_goes_to_another_lane_and_the_bot_goes_on(self, tmp_path: Path) -> None:
        dies = Dies()
        async with lanes_of(tmp_path, apart("a", "b"), [dies, dies]) as lanes:
            lost = asyncio.create_task(lanes.workers.lost())
            job = await lanes.ended(await lanes.take())
            assert not lost.done()
            lost.cancel()
        assert (job.state, job.attempt, job.crashes, job.own_crashes) == (S.DONE, 2, 1, 0)
        assert [len(engine.orders) for engine in lanes.engines] == [1, 1]
        assert len(lanes.watcher.finished_jobs) == 1

    async def test_it_waits_for_the_other_lane_rather_than_go_back(self, tmp_path: Path) -> None:
        gate = Gate()
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [Dies(), gate]) as lanes:
            lanes.queue.drain(first)
            other = await lanes.take(of(1))
            await gate.entered()
            lanes.queue.resume(first)
            lost = await lanes.take(of(2))
            await eventually(lambda: lanes.engines[0].started == 1)
            # Others' jobs go on there.
            assert (await lanes.ended(await lanes.take(of(3)))).lane == "a"
            assert (await lanes.store.job(lost)).state is S.PENDING
            gate.go_on.set()
            assert (await lanes.ended(other)).lane == "b"
            assert (await lanes.ended(lost)).lane == "b"

    async def test_without_another_lane_it_is_tried_there_again(self, tmp_path: Path) -> None:
        again = Gate()
        dies = Dies(times=9)

        def die(asked: GenerationRequest, *others: Any) -> Painting:
            if dies.seeds:
                again(asked, *others)
            return dies(asked)

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [die]) as lanes:
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await again.entered()
            lanes.queue.resume(second)
            again.go_on.set()
            job = await lanes.ended(job_id)
        assert (job.state, job.lane, job.crashes) == (S.DONE, "b", 2)

    async def test_the_same_lane_tries_again_where_there_is_no_other(self, tmp_path: Path) -> None:
        async with lanes_of(tmp_path, apart(), [Dies()]) as lanes:
            job = await lanes.ended(await lanes.take())
            [engine] = lanes.engines
            assert (engine.renewed, engine.started) == (1, 1)
        assert (job.state, job.attempt, job.crashes) == (S.DONE, 2, 1)
        assert [order.name for order in engine.orders] == [f"{job.id}:1", f"{job.id}:2"]

    @pytest.mark.parametrize(
        ("loss", "sure", "deaths", "code"),
        [
            (Loss.HUNG, True, 2, "job.hung"),
            (Loss.DIED, True, 2, "job.died"),
            (Loss.DIED, False, 4, "job.died"),
        ],
    )
    async def test_a_job_that_ends_too_many_fails_and_others_go_on(
        self, tmp_path: Path, loss: Loss, sure: bool, deaths: int, code: str
    ) -> None:
        dies = Dies(times=deaths, loss=loss, sure=sure)
        async with lanes_of(tmp_path, apart(), [dies]) as lanes:
            job = await lanes.ended(await lanes.take())
            assert (await lanes.ended(await lanes.take())).state is S.DONE
        assert job.state is S.FAILED
        assert job.error is not None
        assert job.error.code == code
        assert len(dies.seeds) == deaths + 1

    async def test_one_that_surely_did_not_end_them_is_tried_for_much_longer(
        self, tmp_path: Path
    ) -> None:
        dies = Dies(times=GIVEN_BACK_MAX - 1, loss=Loss.WORKER, innocent=True)
        async with lanes_of(tmp_path, apart(), [dies]) as lanes:
            job = await lanes.ended(await lanes.take())
        assert (job.state, job.attempt, job.crashes) == (S.DONE, GIVEN_BACK_MAX, 0)

    async def test_but_not_for_ever(self, tmp_path: Path) -> None:
        dies = Dies(times=GIVEN_BACK_MAX, loss=Loss.WORKER, innocent=True)
        async with lanes_of(tmp_path, apart(), [dies]) as lanes:
            job = await lanes.ended(await lanes.take())
            assert (await lanes.ended(await lanes.take())).state is S.DONE
        assert (job.state, job.attempt, job.crashes) == (S.FAILED, GIVEN_BACK_MAX, 0)
        assert job.error is not None
        assert job.error.code == "job.given_back"

    async def test_one_that_hangs_is_given_up_and_its_job_tried_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.attempt.STEP_MIN", 0.0)
        tries = 0

        def hang(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            nonlocal tries
            tries += 1
            if tries > 1:
                return painting(asked)
            for step in (1, 2):
                report(Progress(Stage.PAINTING, step=step, steps=10))
            assert lanes.engines[0].given_up.wait(30)
            raise EngineLost(Loss.DIED, "it was given up")

        async with lanes_of(tmp_path, apart(), [hang]) as lanes:
            job = await lanes.ended(await lanes.take())
        assert (job.state, job.lost_to, job.own_crashes) == (S.DONE, Loss.HUNG, 1)

    async def test_a_job_that_is_cancelled_while_its_engine_dies_is_not_tried_again(
        self, tmp_path: Path
    ) -> None:
        gate = Gate()

        def die(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            gate(asked, report, lambda: None)
            raise EngineLost(Loss.DIED, "the engine has died")

        async with lanes_of(tmp_path, apart(), [die]) as lanes:
            job_id = await lanes.take()
            await gate.entered()
            lanes.workers.cancel(job_id)
            gate.go_on.set()
            job = await lanes.ended(job_id)
        assert (job.state, job.crashes) == (S.CANCELLED, 0)

    async def test_engines_that_keep_dying_are_started_less_and_less_often(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[int] = []

        class Noted(Backoff):
            def after(self, waits_before: int) -> float:
                waits.append(waits_before)
                return 0.0

        monkeypatch.setattr("bot.worker.engine_thread.AGAIN", Noted(0))
        async with lanes_of(tmp_path, apart(), [Dies()]) as lanes:
            [engine] = lanes.engines
            really, failing = engine.warm_up, iter([True, True])

            def warm_up() -> None:
                if next(failing, False):
                    raise EngineLost(Loss.DIED, "it died at once")
                really()

            monkeypatch.setattr(engine, "warm_up", warm_up)
            assert (await lanes.ended(await lanes.take())).state is S.DONE
            assert waits == [0, 1, 2]
            # It has generated something since.
            engine.work = Dies()
            assert (await lanes.ended(await lanes.take())).state is S.DONE
        assert waits == [0, 1, 2, 0]

    async def test_a_new_engine_that_hangs_is_given_up_and_started_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.engine_thread.STARTING", 0.05)
        async with lanes_of(tmp_path, apart(), [Dies()]) as lanes:
            [engine] = lanes.engines
            really, hanging = engine.warm_up, iter([True, True])

            def warm_up() -> None:
                if not next(hanging, False):
                    return really()
                engine.given_up.clear()
                assert engine.given_up.wait(30)
                raise EngineLost(Loss.HUNG, "it was given up")

            monkeypatch.setattr(engine, "warm_up", warm_up)
            job = await lanes.ended(await lanes.take())
        assert (job.state, job.attempt, job.crashes) == (S.DONE, 2, 1)
        assert next(hanging, None) is None

    async def test_one_that_hangs_at_the_start_is_no_jobs_fault_and_holds_up_no_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.worker.engine_thread.LOADING", 0.3)
        monkeypatch.setattr("bot.worker.attempt.GRACE", -600.0)
        async with lanes_of(tmp_path, apart("a", "b")) as lanes:
            first, second = lanes.engines
            preloading = threading.Event()

            def hang(_: CheckStop) -> None:
                preloading.set()
                assert first.given_up.wait(30)
                raise EngineLost(Loss.HUNG, "it was given up")

            first.preloading = hang
            lanes.queue.drain(lanes.queue.lanes[1])
            lanes.workers.warm_up()
            await eventually(preloading.is_set)
            job = await lanes.ended(await lanes.take())
            assert (job.state, job.lane, job.crashes) == (S.DONE, "a", 0)
            await eventually(lambda: second.warm)

    async def test_a_lane_without_an_engine_is_offered_nothing(self, tmp_path: Path) -> None:
        starting = Gate()
        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [Dies(), Dies(times=0)]) as lanes:

            def warm_up() -> None:
                starting.began.set()
                assert starting.go_on.wait(30)

            lanes.engines[0].warm_up = warm_up  # type: ignore[method-assign]
            lanes.queue.drain(second)
            lost = await lanes.take()
            await starting.entered()
            assert first.state is LaneState.LOST
            assert lanes.workers.problem() == "not taking jobs: a is lost, b is draining"
            lanes.queue.resume(second)
            assert lanes.workers.problem() is None
            for _ in range(2):
                assert (await lanes.ended(await lanes.take(of(2)))).lane == "b"
            assert (await lanes.ended(lost)).lane == "b"
            starting.go_on.set()
            await eventually(lambda: first.state is LaneState.READY)

    @pytest.mark.parametrize("elsewhere", [True, False], ids=["process", "thread"])
    @pytest.mark.parametrize("code", ["device.absent", "device.unsupported"])
    async def test_a_lane_without_a_usable_device_fails_no_job(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool, code: str
    ) -> None:
        monkeypatch.setattr("bot.worker.engine_thread.AGAIN", Backoff(0.01))
        absent = JobFailed(code, device="cuda:7")
        asked, there = threading.Event(), threading.Event()

        def paint(request: GenerationRequest, *_: Any) -> Painting:
            if not there.is_set():
                raise absent
            return painting(request)

        def warm_up() -> None:
            asked.set()
            if not there.is_set():
                raise absent

        first, second = apart("a", "b")
        async with lanes_of(tmp_path, [first, second], [paint]) as lanes:
            monkeypatch.setattr(lanes.engines[0], "warm_up", warm_up)
            monkeypatch.setattr(lanes.engines[0], "renew", lambda: elsewhere)
            lost = asyncio.create_task(lanes.workers.lost())
            lanes.queue.drain(second)
            job_id = await lanes.take()
            await eventually(asked.is_set)
            lanes.queue.resume(second)
            job = await lanes.ended(job_id)
            assert (job.state, job.lane, job.crashes) == (S.DONE, "b", 0)
            there.set()
            await eventually(lambda: first.state is LaneState.READY)
            lanes.queue.drain(second)
            job = await lanes.ended(await lanes.take())
            assert (job.state, job.lane) == (S.DONE, "a")
            assert not lost.done()
            lost.cancel()

    async def test_where_there_is_no_other_lane_people_are_told_that_it_has_no_device(
        self, tmp_path: Path
    ) -> None:
        def paint(*_: Any) -> Painting:
            raise JobFailed("device.absent", device="cuda:7")

        async with lanes_of(tmp_path, apart(), [paint]) as lanes:
            job = await lanes.ended(await lanes.take())
        assert job.error is not None
        assert job.error.code == "device.absent"

    async def test_a_suspect_need_not_be_alone_where_it_harms_no_other(
        self, tmp_path: Path
    ) -> None:
        gate, again = Gate(), Gate()
        first, second, third = apart("a", "b", "c")
        works: list[Work] = [gate, Dies(), again]
        async with lanes_of(tmp_path, [first, second, third], works) as lanes:
            lanes.queue.drain(second)
            lanes.queue.drain(third)
            other = await lanes.take(of(1))
            await gate.entered()
            lanes.queue.resume(second)
            suspect = await lanes.take(of(2))
            await eventually(lambda: lanes.engines[1].renewed == 1)
            lanes.queue.resume(third)
            await again.entered()
            assert {job.id for job in lanes.queue.running} == {other, suspect}
            again.go_on.set()
            gate.go_on.set()
            job = await lanes.ended(suspect)
        assert (job.crashes, job.lane) == (1, "c")
