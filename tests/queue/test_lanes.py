"""Queues with several lanes: which gets a job, and that none is left lying."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bot.errors import StoreError
from bot.queue import JobQueue, Lane
from bot.queue.policy import InPlace, Line, Next, Waiting
from bot.recipe import Environment, environment_id, place_id
from bot.request import EmbeddingUse, Reference, Upscale
from bot.store import Job, JobState, Store
from tests.queue.lanes import ORIGINS, entered, of, queue_with, settled
from tests.store.factories import new_job, request


async def test_each_job_goes_to_the_lane_that_has_its_model(store: Store) -> None:
    queue = queue_with(store, "a", "b", "c")
    asked = [asyncio.create_task(queue.next(lane)) for lane in queue.lanes]
    await entered(queue, of(1, "c"), of(2, "b"), of(3, "a"))
    jobs = [await task for task in asked]
    assert [job.request.model for job in jobs] == ["a", "b", "c"]
    assert queue.running == tuple(jobs)
    assert [place.position for place in queue.places().values()] == [1, 2, 3]


async def test_what_is_repeated_goes_where_it_was_generated(store: Store) -> None:
    """Unless that lane is not free, and no one knows when it will be."""
    queue = queue_with(store, "a", "a")
    for lane, machine in zip(queue.lanes, ("new", "old"), strict=True):
        lane.environment = Environment(machine)
    asked = [asyncio.create_task(queue.next(lane)) for lane in queue.lanes]
    again = new_job(user_id=1, kind="reroll", request=request(model="a", environment="old"))
    await entered(queue, again)
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert done == {asked[1]}
    await entered(queue, replace(again, id="elsewhere"))
    assert (await asyncio.wait_for(asked[0], 10)).request.environment == "old"


async def test_what_is_repeated_goes_where_its_model_is_stored_as_before(store: Store) -> None:
    """Of two cards of one kind, in machines whose owners have chosen otherwise."""
    card = {"device_name": "RTX 3060"}
    eight = {"transformer_dtype": "bfloat16, int8"}
    queue = queue_with(store, "a", "a")
    for lane, formats in zip(queue.lanes, ({}, eight), strict=True):
        lane.environment = Environment(environment_id(card), {"zimage": formats, "flux2": {}})
    asked = [asyncio.create_task(queue.next(lane)) for lane in queue.lanes]
    before = place_id({**card, **eight, "kernels": "eager"}, "zimage")
    again = new_job(user_id=1, kind="reroll", request=request(model="a", environment=before))
    await entered(queue, again)
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=10)
    assert done == {asked[1]}
    await entered(queue, replace(again, id="elsewhere"))
    await asyncio.wait_for(asked[0], 10)


async def test_a_lane_without_the_model_takes_it_when_no_other_is_free(store: Store) -> None:
    queue = queue_with(store, "a", "b")
    first, second = queue.lanes
    [busy, other] = await entered(queue, of(1, "a"), of(2, "a"))
    assert (await queue.next(first)).id == busy
    assert (await queue.next(second)).id == other
    assert second.last.model == "a"


async def test_what_one_lane_leaves_to_another_is_not_left_lying(store: Store) -> None:
    """A free lane that fits worse waits for the better one, which then disappears."""
    queue = queue_with(store, "a", "b")
    better, worse = queue.lanes
    waiting = asyncio.create_task(queue.next(worse))
    leaving = asyncio.create_task(queue.next(better))
    await settled()
    leaving.cancel()
    await asyncio.wait([leaving])
    [job_id] = await entered(queue, of(1, "a"))
    assert (await asyncio.wait_for(waiting, 5)).id == job_id


async def test_many_lanes_share_a_line_and_each_job_is_started_once(store: Store) -> None:
    queue = queue_with(store, *["a"] * 4)
    ids = await entered(queue, *(of(n % 7, "ab"[n % 2]) for n in range(40)))
    started: list[str] = []
    most = 0

    async def work(lane: Lane) -> None:
        nonlocal most
        while len(started) < len(ids):
            job = await queue.next(lane)
            started.append(job.id)
            most = max(most, len(queue.running))
            await asyncio.sleep(0.005)  # as long as a few starts
            queue.leave(job.id)

    tasks = [asyncio.create_task(work(lane)) for lane in queue.lanes]
    async with asyncio.timeout(20):
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert sorted(started) == sorted(ids)
    assert most > 1


async def test_when_one_lane_cannot_start_a_job_another_does(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_with(store, "a", "b")
    first, second = queue.lanes
    really = store.start
    refused = 0

    async def start(*arguments: Any, **options: Any) -> Job | None:
        nonlocal refused
        if not refused:
            refused += 1
            raise StoreError("the disk is full")
        return await really(*arguments, **options)

    monkeypatch.setattr(store, "start", start)
    asked = [asyncio.create_task(queue.next(lane)) for lane in (first, second)]
    [job_id] = await entered(queue, of(1, "a"))
    outcomes = await asyncio.wait_for(asyncio.wait(asked, return_when="ALL_COMPLETED"), 5)
    failed = [task for task in outcomes[0] if task.exception() is not None]
    [done] = [task for task in outcomes[0] if task.exception() is None]
    assert len(failed) == 1
    assert done.result().id == job_id


async def test_with_two_lanes_the_wait_is_half_as_long(store: Store) -> None:
    """Forty jobs of ten seconds each, learned from five that took as long."""
    from bot.queue.forecast import Forecast
    from bot.store import Painted
    from tests.store.factories import any_job, request

    waits = []
    for lanes in (1, 2):
        forecast, line = Forecast(), Line()
        past = [Painted(request(), n * 11_000, n * 11_000 + 10_000) for n in range(5)]
        forecast.remember(past)
        for n in range(40):
            job = any_job(request(), id=f"job{n}")
            needs = forecast.expect(job)
            line.add(Waiting(job.id, f"p{n}", n, needs.model or "", needs.adapters))
        free = []
        for _ in range(lanes):
            lane = Lane()
            lane.last = InPlace("demo", needs.adapters)
            free.append(lane)
        places = dict(forecast.places(line, free, 0, paused=False))
        assert [place.position for place in places.values()] == [*range(1, 41)]
        waits.append(max(place.ready_at or 0 for place in places.values()))
    assert waits[1] == pytest.approx(waits[0] / 2, rel=0.05)


async def test_what_is_released_while_another_starts_stays_in_line(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both of one person: the earlier one goes in front of the one that is being started."""
    queue = queue_with(store, "demo")
    earlier = await queue.accept(of(1))
    [later] = await entered(queue, of(1))
    really, starting, go_on = store.start, asyncio.Event(), asyncio.Event()

    async def start(*arguments: Any, **options: Any) -> Job | None:
        starting.set()
        await go_on.wait()
        return await really(*arguments, **options)

    monkeypatch.setattr(store, "start", start)
    next_job = asyncio.create_task(queue.next(queue.lanes[0]))
    await starting.wait()
    queue.release(earlier.job.id)
    go_on.set()
    assert (await next_job).id == later
    queue.leave(later)
    assert [*queue.places()] == [earlier.job.id]
    job = await asyncio.wait_for(queue.next(queue.lanes[0]), 5)
    assert job.id == earlier.job.id


async def test_a_job_withdrawn_as_it_begins_leaves_no_lane_asleep(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_with(store, "a", "b")
    first, second = queue.lanes
    asked = [asyncio.create_task(queue.next(lane)) for lane in (first, second)]
    await settled()
    really = store.start
    withdrawn: list[str] = []

    async def start(job_id: str, *others: Any, **options: Any) -> Job | None:
        if not withdrawn:
            withdrawn.append(job_id)
            await store.cancel(await store.job(job_id))
        return await really(job_id, *others, **options)

    monkeypatch.setattr(store, "start", start)
    ids = await entered(queue, of(1, "b"), of(2, "a"))
    done, _ = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result().id for task in done} == {*ids} - {*withdrawn}
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)


async def test_what_happens_costs_one_decision_however_many_lanes_are_free(
    store: Store,
) -> None:
    queue = queue_with(store, *["a"] * 40)
    asked = [asyncio.create_task(queue.next(lane)) for lane in queue.lanes]
    await settled()
    decisions: list[int] = []
    really = queue._dispatcher._choose

    def choose(free: Sequence[Lane]) -> Next | None:
        decisions.append(len(free))
        return really(free)

    queue._dispatcher._choose = choose
    for number in range(3):
        [job_id] = await entered(queue, of(number, "a"))
        done, _ = await asyncio.wait(asked, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result().id for task in done] == [job_id]
        asked = [task for task in asked if task not in done]
        await settled()
    # One that finds the job, and one that finds no other, for each.
    assert decisions == [40, 39, 39, 38, 38, 37]
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)


async def test_accepting_that_is_cancelled_leaves_nothing_behind(store: Store) -> None:
    """However far it came: the row of a job that no one would release is taken back."""
    queue = queue_with(store, "a")
    for turns in range(60):
        accepting = asyncio.create_task(queue.accept(of(1)))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        accepting.cancel()
        await asyncio.wait([accepting])
        if not accepting.cancelled():
            queue.release(accepting.result().job.id)
            queue.leave(accepting.result().job.id)
            await store.cancel(accepting.result().job)
    await settled()
    assert queue.places() == {}
    assert await store.jobs_in(JobState.PENDING, ORIGINS) == []


async def test_a_job_behind_very_many_that_no_lane_is_able_to_run_starts(store: Store) -> None:
    queue = queue_with(store, "a")
    [lane] = queue.lanes
    lane.able = lambda job: job.model == "a"
    [job_id] = await entered(queue, of(1, "a"))
    for number in range(700):
        queue._line.add(Waiting(f"large{number}", f"p{number}", -number - 1, "large"))
    assert (await asyncio.wait_for(queue.next(lane), 5)).id == job_id


@pytest.mark.parametrize(
    "needs",
    [
        {"embeddings": (EmbeddingUse("hands", "hands"),)},
        {"reference": Reference("b" * 64, 0.8)},
        {"upscale": Upscale("c" * 64, "4x", 2.0, "repaint", 0.3)},
    ],
    ids=["embedding", "reference", "upscaler"],
)
async def test_a_job_whose_files_no_lane_has_holds_up_none_that_lacks_nothing(
    store: Store, needs: dict[str, Any]
) -> None:
    """With the same model and LoRAs, so that the policy could take them for alike."""

    def has_all(waiting: Waiting) -> bool:
        job = queue.find(waiting.id)
        assert job is not None
        asked = job.request
        return not (asked.embeddings or asked.reference or asked.upscale)

    [lane] = made = [Lane(able=has_all)]
    queue = JobQueue(store, made)
    large = new_job(user_id=1, request=request(model="demo", **needs))
    stuck, runs, later = await entered(queue, large, of(2), of(1))
    for expected in (runs, later):
        job = await asyncio.wait_for(queue.next(lane), 20)
        assert job.id == expected
        queue.leave(job.id)
    assert stuck in queue
