"""Lanes that lack files, and lanes that are not ready for a first job yet."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.errors import JobFailed, NotHere
from bot.painting import Painting
from bot.queue import Lane
from bot.queue.policy import Waiting
from bot.request import GenerationRequest
from bot.store import CELL_FAILED
from bot.store import JobState as S
from tests.queue.lanes import of
from tests.store.factories import painting
from tests.worker.fakes import eventually
from tests.worker.fleet import lanes_of
from tests.worker.test_comparing import SIX, asked

FULL = JobFailed("part.disk_full", name="demo", size=6.5, free=1.0)


@dataclass
class Lacking:
    """What a worker's lane does that finds out that it lacks a file: it is asked for it no more.

    times: how often it does. when: for which requests.
    """

    failure: JobFailed | None = FULL
    times: int = 1
    when: Callable[[GenerationRequest], bool] = lambda _: True
    found: int = field(default=0, init=False)

    def able(self, _: Waiting) -> bool:
        return self.failure is None or not self.found

    def __call__(self, asked: GenerationRequest, *_: Any) -> Painting:
        if self.found < self.times and self.when(asked):
            self.found += 1
            raise NotHere(self.failure, "ab" * 32, "not hashed yet")
        return painting(asked)

    def lane(self, name: str) -> Lane:
        return Lane(name, isolated=True, able=self.able)


async def test_the_job_goes_to_a_lane_that_has_the_file(tmp_path: Path) -> None:
    lacking = Lacking()
    first, second = lacking.lane("a"), Lane("b", isolated=True)
    async with lanes_of(tmp_path, [first, second], [lacking]) as lanes:
        lanes.queue.load(second, loading=True)
        job_id = await lanes.take()
        await eventually(lambda: lacking.found > 0)
        lanes.queue.load(second, loading=False)
        job = await lanes.ended(job_id)
        assert [engine.renewed for engine in lanes.engines] == [0, 0]
    # Not even the attempt that found it out counts.
    assert (job.state, job.lane, job.crashes, job.own_crashes) == (S.DONE, "b", 0, 0)
    assert len(lanes.watcher.finished_jobs) == 1


@pytest.mark.parametrize("drained", [False, True])
async def test_if_no_lane_has_it_its_person_is_told_why(tmp_path: Path, drained: bool) -> None:
    """Nor does one that is drained count: that may be so for weeks."""
    lacking = Lacking()
    other = Lane("b", isolated=True, able=None if drained else lambda _: False)
    async with lanes_of(tmp_path, [lacking.lane("a"), other], [lacking]) as lanes:
        if drained:
            lanes.queue.drain(other)
        job = await lanes.ended(await lanes.take())
        assert [engine.renewed for engine in lanes.engines] == [0, 0]
    assert job.state is S.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.params) == (FULL.code, FULL.params)
    assert (job.attempt, job.crashes) == (1, 0)


async def test_what_will_be_there_soon_is_waited_for(tmp_path: Path) -> None:
    lacking = Lacking(failure=None, times=3)
    async with lanes_of(tmp_path, [lacking.lane("a")], [lacking]) as lanes:
        job = await lanes.ended(await lanes.take())
    assert (job.state, job.crashes, lacking.found) == (S.DONE, 0, 3)


async def test_of_a_comparison_only_the_cells_fail_that_need_it(tmp_path: Path) -> None:
    lacking = Lacking(times=6, when=lambda asked: asked.steps == 20)
    async with lanes_of(tmp_path, [lacking.lane("a")], [lacking]) as lanes:
        job = await lanes.ended(await lanes.take(asked(SIX)))
    assert job.state is S.DONE
    assert [notice.code for notice in job.warnings].count(CELL_FAILED) == lacking.found == 2


async def test_one_goes_on_as_a_whole_where_all_of_it_can_be_had(tmp_path: Path) -> None:
    lacking = Lacking(times=6, when=lambda asked: asked.steps == 20)
    first, second = lacking.lane("a"), Lane("b", isolated=True)
    async with lanes_of(tmp_path, [first, second], [lacking]) as lanes:
        lanes.queue.load(second, loading=True)
        job_id = await lanes.take(asked(SIX))
        await eventually(lambda: lacking.found > 0)
        lanes.queue.load(second, loading=False)
        job = await lanes.ended(job_id)
    assert (job.state, job.lane, job.warnings) == (S.DONE, "b", ())
    assert lacking.found == 1


async def test_a_lane_takes_no_job_before_it_is_ready(tmp_path: Path) -> None:
    lanes_in_order = [Lane(name, isolated=True) for name in ("a", "b")]
    async with lanes_of(tmp_path, lanes_in_order) as lanes:
        lanes.queue.load(lanes_in_order[0], loading=True)
        for user in range(3):
            assert (await lanes.ended(await lanes.take(of(user)))).lane == "b"
        lanes.queue.drain(lanes_in_order[1])
        job_id = await lanes.take(of(4))
        lanes.queue.load(lanes_in_order[0], loading=False)
        assert (await lanes.ended(job_id)).lane == "a"
