"""Jobs that may have ended the process: they run alone, and do not wait for ever."""

import asyncio
from dataclasses import replace

import pytest

from bot.queue import JobQueue, Lane
from bot.queue.policy import LOOKAHEAD
from bot.store import JobState, Store
from tests.queue.lanes import ORIGINS, entered, of, settled


async def test_a_suspect_runs_alone(store: Store) -> None:
    """While another job runs it waits, and while it runs the others do."""
    first = await store.accept(of(1))
    assert await store.start(first.id)
    await store.requeue_all(ORIGINS)
    queue = JobQueue(store, [Lane("x"), Lane("y")])
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    [other] = await entered(queue, of(2))
    one, two = queue.lanes
    assert (await queue.next(one)).id == other
    waiting = asyncio.create_task(queue.next(two))
    await settled()
    assert not waiting.done()
    also = asyncio.create_task(queue.next(one))
    queue.leave(other)
    [done], [still] = await asyncio.wait({waiting, also}, return_when=asyncio.FIRST_COMPLETED)
    assert done.result().id == first.id
    [last] = await entered(queue, of(3))
    await settled()
    assert not still.done()
    queue.leave(first.id)
    resting = next(
        lane for lane in queue.lanes if lane.running is None and lane not in queue._dispatcher
    )
    third = asyncio.create_task(queue.next(resting))
    [found], [idle] = await asyncio.wait({still, third}, return_when=asyncio.FIRST_COMPLETED)
    assert found.result().id == last
    idle.cancel()


async def test_a_suspect_does_not_begin_while_another_job_is_being_saved(store: Store) -> None:
    first = await store.accept(of(1))
    assert await store.start(first.id)
    await store.requeue_all(ORIGINS)
    queue = JobQueue(store, [Lane("x")])
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    [other] = await entered(queue, of(2))
    [lane] = queue.lanes
    saved = await queue.next(lane)
    assert saved.id == other
    queue.hand_over(replace(saved, painted_at=1))
    assert lane.running is None
    waiting = asyncio.create_task(queue.next(lane))
    await settled()
    assert not waiting.done()
    assert [*queue.places()] == [other, first.id]
    queue.leave(other)
    assert (await asyncio.wait_for(waiting, 20)).id == first.id


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.long
async def test_a_suspect_does_not_wait_for_ever_where_other_jobs_always_run(
    store: Store, *, isolated: bool
) -> None:
    """On two lanes of which one is always busy, it waits for the bound and no longer."""
    first = await store.accept(of(1))
    assert await store.start(first.id)
    await store.requeue_all(ORIGINS)
    queue = JobQueue(store, [Lane("x"), other := Lane("y", isolated=isolated)])
    if isolated:
        other.able = lambda job: not job.suspect
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    ended: set[str] = set()

    async def work(lane: Lane) -> None:
        while first.id not in ended:
            job = await queue.next(lane)
            if job.id == first.id:
                others = [one for one in queue.lanes if one.running and not one.isolated]
                assert others == [lane]
            else:
                await entered(queue, of(number := len(ended) + 2), of(number))
            await asyncio.sleep(0.002)
            queue.leave(job.id)
            ended.add(job.id)

    await entered(queue, *(of(user) for user in range(2, 8)))
    working = [asyncio.create_task(work(lane)) for lane in queue.lanes]
    async with asyncio.timeout(30):
        await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
    for task in working:
        task.cancel()
    outcomes = await asyncio.gather(*working, return_exceptions=True)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    assert first.id in ended
    assert len(ended) <= 2 * 2 * LOOKAHEAD + 3  # each of them generates as many


async def test_a_suspect_in_the_bots_process_keeps_no_other_machine_waiting(store: Store) -> None:
    first = await store.accept(of(1))
    assert await store.start(first.id)
    await store.requeue_all(ORIGINS)
    queue = JobQueue(store, [here := Lane("x"), elsewhere := Lane("y", isolated=True)])
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    assert (await queue.next(here)).id == first.id
    [job_id] = await entered(queue, of(2))
    assert (await asyncio.wait_for(queue.next(elsewhere), 5)).id == job_id
