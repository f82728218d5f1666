"""GPUs of different sizes: what is too large for one goes to another, or waits for it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.errors import JobFailed
from bot.painting import Painting
from bot.progress import Progress
from bot.queue import Lane
from bot.queue.absences import AWAITED_FOR, TOLD_AFTER
from bot.request import GenerationRequest
from bot.store import JobState as S
from bot.store import NewJob
from bot.texts.lines import status_line
from tests.language import TEXTS
from tests.store.factories import new_job, painting
from tests.worker.bench import Gate
from tests.worker.fakes import CheckStop, Report, eventually
from tests.worker.fleet import lanes_of
from tests.worker.test_comparing import SIX

GIB = 2**30


def compared() -> NewJob:
    return new_job(request=SIX, kind="compare")


def no_memory(code: str) -> Any:
    def fail(*_: Any) -> Painting:
        if code == "memory.model":
            raise JobFailed(code, model="demo")
        raise JobFailed(code, width=64, height=48)

    return fail


class TestMixedCards:
    def lanes(self) -> list[Lane]:
        return [Lane("small", memory=8 * GIB), Lane("large", memory=24 * GIB)]

    @pytest.mark.parametrize("code", ["memory.out", "memory.model"])
    async def test_what_is_too_large_for_one_goes_to_a_larger_one(
        self, tmp_path: Path, code: str
    ) -> None:
        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [no_memory(code)]) as lanes:
            lanes.queue.drain(large)
            job_id = await lanes.take()
            await eventually(lambda: lanes.queue.places()[job_id].larger_gpu)
            place = lanes.queue.places()[job_id]
            assert place.larger_gpu
            stored = await lanes.store.job(job_id)
            assert (stored.state, stored.memory_above, stored.crashes) == (S.PENDING, 8 * GIB, 0)
            lanes.queue.resume(large)
            job = await lanes.ended(job_id)
        assert (job.state, job.lane) == (S.DONE, "large")
        assert len(lanes.engines[0].orders) == 1

    async def test_one_that_is_cancelled_meanwhile_goes_nowhere(self, tmp_path: Path) -> None:
        gate = Gate()

        def fail(asked: GenerationRequest, report: Report, check: CheckStop) -> Painting:
            gate(asked, report, lambda: None)
            raise JobFailed("memory.out", width=64, height=48)

        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [fail]) as lanes:
            lanes.queue.drain(large)
            job_id = await lanes.take()
            await gate.entered()
            assert await lanes.workers.withdraw(job_id) is not None
            lanes.queue.resume(large)
            gate.go_on.set()
            job = await lanes.ended(job_id)
        assert job.state is S.CANCELLED
        assert not lanes.engines[1].orders

    async def test_what_no_lane_has_the_files_for_says_so(self, tmp_path: Path) -> None:
        known = False
        first, second = self.lanes()
        first.able, second.able = lambda _: False, lambda _: known
        async with lanes_of(tmp_path, [first, second]) as lanes:
            job_id = await lanes.take()
            place = lanes.queue.places()[job_id]
            assert place.no_files
            assert place.ready_at is None
            said = status_line(TEXTS.speaker(), place)
            assert said == "Waiting for a GPU that has the files for this, **#1** in line"
            known = True
            assert not lanes.queue.places()[job_id].no_files
            lanes.queue.look_again()
            assert (await lanes.ended(job_id)).lane == "large"

    async def test_it_fails_where_there_is_no_larger_one(self, tmp_path: Path) -> None:
        works = [no_memory("memory.out")] * 2
        async with lanes_of(tmp_path, self.lanes(), works) as lanes:
            job = await lanes.ended(await lanes.take())
        assert job.state is S.FAILED
        assert job.error is not None
        assert job.error.code == "memory.out"
        assert len(lanes.engines[1].orders) == 1

    async def test_a_model_that_does_not_fit_is_offered_to_that_lane_no_more(
        self, tmp_path: Path
    ) -> None:
        works = [no_memory("memory.model")]
        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], works) as lanes:
            lanes.queue.drain(large)
            first = await lanes.take()
            await eventually(lambda: lanes.queue.places()[first].larger_gpu)
            lanes.queue.resume(large)
            assert (await lanes.ended(first)).lane == "large"
            for _ in range(2):
                assert (await lanes.ended(await lanes.take())).lane == "large"
        assert len(lanes.engines[0].orders) == 1

    async def test_where_the_larger_one_may_not_take_it_it_does_not_wait_for_it(
        self, tmp_path: Path
    ) -> None:
        small, large = self.lanes()
        large.able = lambda waiting: False
        async with lanes_of(tmp_path, [small, large], [no_memory("memory.out")]) as lanes:
            job = await lanes.ended(await lanes.take())
        assert (job.state, job.attempt, job.lane) == (S.FAILED, 1, "small")

    @pytest.mark.parametrize("unknown", [0, 1], ids=["the small one's", "the large one's"])
    async def test_a_memory_that_nobody_asked_for_before_is_known_once_it_matters(
        self, tmp_path: Path, unknown: int
    ) -> None:
        """As of the one card of the bot's own machine."""
        made = self.lanes()
        sizes = [{"total": lane.memory or 0} for lane in made]
        made[unknown].memory = None
        async with lanes_of(tmp_path, made, [no_memory("memory.out")]) as lanes:
            lanes.engines[unknown].gpu_memory = sizes[unknown].copy  # type: ignore[method-assign]
            job = await lanes.ended(await lanes.take())
        assert (job.state, job.attempt, job.lane) == (S.DONE, 2, "large")
        assert [lane.memory for lane in made] == [8 * GIB, 24 * GIB]

    async def test_a_comparison_goes_on_there_with_the_cells_that_need_it(
        self, tmp_path: Path
    ) -> None:
        def work(asked: GenerationRequest, *_: object) -> Painting:
            if asked.steps == 20:
                raise JobFailed("memory.out", width=64, height=48)
            return painting(asked)

        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [work]) as lanes:
            lanes.queue.drain(large)
            job_id = await lanes.take(compared())
            await eventually(lambda: lanes.queue.places()[job_id].larger_gpu)
            kept = {image.n: image.sha256 for image in await lanes.store.images(job_id)}
            lanes.queue.resume(large)
            job = await lanes.ended(job_id)
            images = {image.n: image.sha256 for image in await lanes.store.images(job_id)}
        assert (job.state, job.lane, job.attempt, job.warnings) == (S.DONE, "large", 2, ())
        assert sorted(kept) == [0, 2, 3, 5]
        assert {n: images[n] for n in kept} == kept
        assert [order.request.steps for order in lanes.engines[1].orders] == [20, 20]
        assert len(images) == len(SIX.each) + 1

    async def test_a_comparison_of_which_no_cell_fits_goes_there_whatever_else_is_wrong(
        self, tmp_path: Path
    ) -> None:
        def work(asked: GenerationRequest, *_: object) -> Painting:
            code = "memory.out" if asked.steps == 20 else "model.broken"
            raise JobFailed(code, model="demo", width=64, height=48)

        async with lanes_of(tmp_path, self.lanes(), [work]) as lanes:
            job = await lanes.ended(await lanes.take(compared()))
        assert (job.state, job.lane) == (S.DONE, "large")

    async def test_a_comparison_is_shown_as_far_as_the_largest_one_can(
        self, tmp_path: Path
    ) -> None:
        def work(asked: GenerationRequest, *_: object) -> Painting:
            if asked.steps == 20:
                raise JobFailed("memory.out", width=64, height=48)
            return painting(asked)

        async with lanes_of(tmp_path, self.lanes(), [work, work]) as lanes:
            job = await lanes.ended(await lanes.take(compared()))
        assert (job.state, job.lane) == (S.DONE, "large")
        assert [notice.params["reason"] for notice in job.warnings] == ["memory.out"] * 2

    async def test_a_model_of_a_cell_does_not_keep_the_jobs_own_from_the_smaller_one(
        self, tmp_path: Path
    ) -> None:
        def work(asked: GenerationRequest, *_: object) -> Painting:
            if asked.steps == 20:
                raise JobFailed("memory.model", model="another")
            return painting(asked)

        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [work]) as lanes:
            assert (await lanes.ended(await lanes.take(compared()))).lane == "large"
            lanes.queue.drain(large)
            assert (await lanes.ended(await lanes.take())).lane == "small"

    async def test_it_is_known_after_a_restart(self, tmp_path: Path) -> None:
        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [no_memory("memory.out")]) as lanes:
            lanes.queue.drain(large)
            job_id = await lanes.take()
            await eventually(lambda: lanes.queue.places()[job_id].larger_gpu)
        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large]) as lanes:
            await lanes.queue.line_up([await lanes.store.job(job_id)])
            job = await lanes.ended(job_id)
        assert (job.state, job.lane) == (S.DONE, "large")
        assert not lanes.engines[0].orders

    async def test_when_the_larger_one_has_gone_it_is_tried_where_it_can_be(
        self, tmp_path: Path
    ) -> None:
        small, large = self.lanes()
        async with lanes_of(tmp_path, [small, large], [no_memory("memory.out")]) as lanes:
            lanes.queue.drain(large)
            job_id = await lanes.take()
            await eventually(lambda: lanes.queue.places()[job_id].larger_gpu)
            await lanes.workers.remove(large)
            job = await lanes.ended(job_id)
        assert job.state is S.FAILED


class Clock:
    """Seconds since the epoch, as they are told."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("code", ["memory.out", "memory.model"])
@pytest.mark.parametrize("lost", [False, True], ids=["drained", "lost"])
async def test_what_waits_for_one_that_stays_away_says_so_and_is_tried_on_another_in_the_end(
    tmp_path: Path, code: str, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.queue.absences.LOOK", 0.01)
    small, large = Lane("small", memory=8 * GIB), Lane("large", memory=24 * GIB)
    clock, moved = Clock(), asyncio.Event()
    async with lanes_of(tmp_path, [small, large], [no_memory(code)], clock=clock) as lanes:

        def place() -> Progress:
            return lanes.queue.places()[job_id]

        if lost:
            lanes.queue.lose(large, lost=True)
        else:
            lanes.queue.drain(large)
        job_id = await lanes.take()
        await eventually(lambda: place().larger_gpu)
        assert not place().gpu_away
        lanes.queue.subscribe(moved.set)
        moved.clear()
        clock.now += TOLD_AFTER
        await asyncio.wait_for(moved.wait(), 20)
        assert place().gpu_away
        assert place().ready_at is None
        said = status_line(TEXTS.speaker(), place())
        assert said.startswith("The GPU with enough memory for this is away just now, **#1**")
        clock.now += AWAITED_FOR - TOLD_AFTER
        job = await lanes.ended(job_id)
    assert (job.state, job.attempt, job.lane) == (S.FAILED, 2, "small")
    assert job.error is not None
    assert job.error.code == code
    assert not lanes.engines[1].orders
