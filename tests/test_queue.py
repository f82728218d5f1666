"""The queue: first come, first served, and nobody before they were told."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Refused
from bot.queue import JobQueue
from bot.store import CRASHES_MAX, Failure, Job, JobState, Limits, Store
from tests.store.factories import done, new_job, running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def accepted(queue: JobQueue, count: int) -> list[str]:
    return [(await queue.accept(new_job(user_id=n))).job.id for n in range(count)]


async def state(store: Store, job_id: str) -> JobState:
    return (await store.job(job_id)).state


async def test_places_are_counted_from_one(store: Store) -> None:
    queue = JobQueue(store)
    tickets = [await queue.accept(new_job()) for _ in range(3)]
    assert [ticket.position for ticket in tickets] == [1, 2, 3]
    assert queue.places() == {ticket.job.id: n for n, ticket in enumerate(tickets, start=1)}


async def test_the_order_is_that_of_release(store: Store) -> None:
    queue = JobQueue(store)
    ids = await accepted(queue, 3)
    for job_id in ids:
        queue.release(job_id)
    assert [(await queue.next()).id for _ in ids] == ids


async def test_the_next_job_is_running_when_it_is_handed_out(store: Store) -> None:
    queue = JobQueue(store)
    [job_id] = await accepted(queue, 1)
    queue.release(job_id)
    job = await queue.next()
    assert job == await store.job(job_id)
    assert (job.state, job.attempt) == (JobState.RUNNING, 1)
    assert queue.places() == {job_id: 1}


async def test_a_job_that_is_not_released_is_left_alone(store: Store) -> None:
    queue = JobQueue(store)
    first, second = await accepted(queue, 2)
    queue.release(second)
    assert (await queue.next()).id == second
    waiting = asyncio.create_task(queue.next())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    queue.release(first)
    assert (await waiting).id == first


async def test_everyone_moves_up_when_one_leaves(store: Store) -> None:
    queue = JobQueue(store)
    first, second, third = await accepted(queue, 3)
    queue.leave(second)
    assert queue.places() == {first: 1, third: 2}
    queue.leave(second)
    queue.leave("nobody")
    assert queue.places() == {first: 1, third: 2}


async def test_an_abandoned_job_is_cancelled_and_gives_its_place_free(store: Store) -> None:
    queue = JobQueue(store, Limits(size=1, per_user=1))
    ticket = await queue.accept(new_job())
    with pytest.raises(Refused):
        await queue.accept(new_job())
    await queue.abandon(ticket)
    assert await state(store, ticket.job.id) is JobState.CANCELLED
    assert queue.places() == {}
    assert (await queue.accept(new_job())).position == 1


async def test_a_refused_job_takes_no_place(store: Store) -> None:
    queue = JobQueue(store, Limits(size=5, per_user=1))
    await queue.accept(new_job())
    with pytest.raises(Refused):
        await queue.accept(new_job())
    assert len(queue.places()) == 1


async def test_a_job_that_was_cancelled_meanwhile_is_passed_over(store: Store) -> None:
    queue = JobQueue(store)
    tickets = [await queue.accept(new_job()) for _ in range(2)]
    for ticket in tickets:
        queue.release(ticket.job.id)
    await store.cancel(tickets[0].job)
    assert (await queue.next()).id == tickets[1].job.id
    assert queue.places() == {tickets[1].job.id: 1}


async def test_a_restart_lines_up_what_waited_and_what_ran(store: Store) -> None:
    crashed = await running(store)
    waiting = await store.accept(new_job())
    await done(store)
    other = await store.accept(new_job(origin="cli"))
    queue = JobQueue(store)
    tickets, given_up = await queue.resume("discord")
    assert [(t.job.id, t.position) for t in tickets] == [(crashed.id, 1), (waiting.id, 2)]
    first, second = await queue.next(), await queue.next()
    assert (first.id, first.attempt) == (crashed.id, 2)
    assert (second.id, second.attempt) == (waiting.id, 1)
    assert await state(store, other.id) is JobState.PENDING
    assert given_up == ()


async def test_a_job_that_the_process_dies_of_too_often_is_given_up(store: Store) -> None:
    job = await running(store)
    for crashes in range(1, CRASHES_MAX):
        tickets, given_up = await JobQueue(store).resume("discord")
        assert [(ticket.job.id, ticket.job.crashes) for ticket in tickets] == [(job.id, crashes)]
        assert given_up == ()
        assert await store.start(job.id)
    queue = JobQueue(store)
    tickets, given_up = await queue.resume("discord")
    assert tickets == ()
    assert [(failed.id, failed.error) for failed in given_up] == [(job.id, Failure("job.died", {}))]
    assert queue.places() == {}


async def test_a_shutdown_is_no_crash(store: Store) -> None:
    job = await running(store)
    for _ in range(CRASHES_MAX + 2):
        assert await store.requeue(job)
        await JobQueue(store).resume("discord")
        started = await store.start(job.id)
        assert started is not None
        job = started
    assert job.crashes == 0


class FailingOnce(Store):
    """As when another process holds the database for too long."""

    fails = True

    async def start(self, job_id: str) -> Job | None:
        if self.fails:
            self.fails = False
            raise sqlite3.OperationalError("database is locked")
        return await super().start(job_id)


async def test_a_job_that_could_not_be_started_is_not_forgotten(tmp_path: Path) -> None:
    async with FailingOnce.open(tmp_path / "x.sqlite3") as store:
        queue = JobQueue(store)
        [job_id] = await accepted(queue, 1)
        queue.release(job_id)
        with pytest.raises(sqlite3.OperationalError):
            await queue.next()
        again: Any = await asyncio.wait_for(queue.next(), 5)
        assert again.id == job_id
