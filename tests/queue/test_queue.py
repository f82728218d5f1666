"""The queue: what it keeps in step with the store, and nobody before they were told."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Refused, StoreError
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import CRASHES_MAX, Failure, Job, JobState, NewJob, Store
from tests.store.factories import CANARY, done, new_job, recipe, record, request, running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def accepted(queue: JobQueue, count: int) -> list[str]:
    return [(await queue.accept(new_job(user_id=n))).job.id for n in range(count)]


def positions(queue: JobQueue) -> dict[str, int]:
    return {job_id: place.position for job_id, place in queue.places().items()}


async def state(store: Store, job_id: str) -> JobState:
    return (await store.job(job_id)).state


async def test_places_are_counted_from_one(store: Store) -> None:
    queue = JobQueue(store)
    tickets = [await queue.accept(new_job()) for _ in range(3)]
    assert [ticket.position for ticket in tickets] == [1, 2, 3]
    assert positions(queue) == {ticket.job.id: n for n, ticket in enumerate(tickets, start=1)}


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
    assert positions(queue) == {job_id: 1}


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
    assert positions(queue) == {first: 1, third: 2}
    queue.leave(second)
    queue.leave("nobody")
    assert positions(queue) == {first: 1, third: 2}


async def test_an_abandoned_job_is_cancelled_and_gives_its_place_free(store: Store) -> None:
    queue = JobQueue(store, Limits(size=1, per_user=1))
    ticket = await queue.accept(new_job())
    with pytest.raises(Refused):
        await queue.accept(new_job())
    await queue.abandon(ticket)
    assert await state(store, ticket.job.id) is JobState.CANCELLED
    assert positions(queue) == {}
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
    assert positions(queue) == {tickets[1].job.id: 1}


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
    assert positions(queue) == {}


@pytest.mark.parametrize(
    "request_text", ["{", "[]", '{"prompt": "x"}', f'{{"prompt": "{CANARY}", "newer": 1}}']
)
async def test_what_cannot_be_read_does_not_stop_the_start(
    store: Store, caplog: pytest.LogCaptureFixture, request_text: str
) -> None:
    """As after a newer version of the bot, or a repair."""
    old, painted = await done(store), await done(store)
    assert await store.deliver(old, 1, 2)
    damaged, waiting = await store.accept(new_job()), await store.accept(new_job())
    async with store._database.transaction() as write:
        await write.execute(
            "UPDATE jobs SET request = ?, recipe = '{', started_at = started_at - 5 WHERE id != ?",
            (request_text, waiting.id),
        )
    tickets, given_up = await JobQueue(store).resume("discord")
    assert [ticket.job.id for ticket in tickets] == [waiting.id]
    failure = Failure("job.unreadable", {})
    assert [(failed.id, failed.error) for failed in given_up] == [(damaged.id, failure)]
    assert [job.id for job in await store.untold("discord")] == [damaged.id]
    assert [job.id for job in await store.jobs_in(JobState.DONE, "discord")] == [painted.id]
    assert f"job {old.id}: its request cannot be read" in caplog.text
    assert CANARY not in caplog.text
    # Nor does it stop whoever asked for it.
    assert (await store.usage(new_job(), time.time())).own == 1
    assert await store.inputs() == frozenset()


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

    async def start(self, job_id: str, passed: Collection[str] = ()) -> Job | None:
        if self.fails:
            self.fails = False
            raise sqlite3.OperationalError("database is locked")
        return await super().start(job_id, passed)


async def test_a_job_that_could_not_be_started_is_not_forgotten(tmp_path: Path) -> None:
    async with FailingOnce.open(tmp_path / "x.sqlite3") as store:
        queue = JobQueue(store)
        [job_id] = await accepted(queue, 1)
        queue.release(job_id)
        with pytest.raises(sqlite3.OperationalError):
            await queue.next()
        again: Any = await asyncio.wait_for(queue.next(), 5)
        assert again.id == job_id


async def order(queue: JobQueue) -> list[str]:
    """Who is handed out, until nobody waits."""
    served = []
    while queue.places():
        job = await queue.next()
        served.append(job.id)
        queue.leave(job.id)
    return served


async def entered(queue: JobQueue, *asked: NewJob) -> list[str]:
    ids = []
    for new in asked:
        ticket = await queue.accept(new)
        queue.release(ticket.job.id)
        ids.append(ticket.job.id)
    return ids


def of(user: int, model: str = "demo", **fields: Any) -> NewJob:
    return new_job(user_id=user, request=request(model=model), **fields)


async def test_people_take_turns_and_see_it_in_their_places(store: Store) -> None:
    queue = JobQueue(store)
    a1, a2, a3, b1 = await entered(queue, of(1), of(1), of(1), of(2))
    assert [*queue.places()] == [a1, b1, a2, a3]
    ticket = await queue.accept(of(3))
    assert ticket.position == 3
    assert await order(JobQueue(store)) == []  # another one knows of nothing
    queue.release(ticket.job.id)
    assert await order(queue) == [a1, b1, ticket.job.id, a2, a3]


async def test_whose_turn_it_is_survives_a_restart(store: Store) -> None:
    first = JobQueue(store)
    a1, a2, b1, c1 = await entered(first, of(1), of(1), of(2), of(3))
    assert (await first.next()).id == a1
    first.leave(a1)
    await done(store, of(2))
    # Somebody else's turn was passed over for what is loaded.
    assert await store.start(c1, [b1])
    queue = JobQueue(store)
    tickets, _ = await queue.resume("discord")
    # What was begun goes first; 1 was served before 2.
    assert [ticket.job.id for ticket in tickets] == [a1, a2, b1, c1]
    assert [*queue.places()][:2] == [a1, c1]
    assert {job.id: job.passed for job in await store.jobs_in(JobState.PENDING, "discord")} == {
        a1: 0,
        a2: 0,
        b1: 1,
        c1: 0,
    }


async def test_what_is_loaded_goes_ahead_and_whose_turn_it_was_is_written_down(
    store: Store,
) -> None:
    queue = JobQueue(store, loaded=lambda: "warm")
    cold, warm = await entered(queue, of(1, "cold"), of(2, "warm"))
    assert [*queue.places()] == [warm, cold]
    assert (await queue.next()).id == warm
    assert (await store.job(cold)).passed == 1
    assert (await store.job(cold)).due_at == (await store.job(warm)).started_at


async def test_without_knowing_better_the_last_model_is_in_place(store: Store) -> None:
    queue = JobQueue(store)
    a, b, c = await entered(queue, of(1, "x"), of(2, "y"), of(3, "x"))
    assert await order(queue) == [a, c, b]


async def test_a_role_with_priority_goes_ahead(store: Store) -> None:
    queue = JobQueue(store, Limits(priorities={9: 1}))
    plain, favoured = await entered(queue, of(1), of(2, roles=frozenset({9})))
    assert (await store.job(favoured)).priority == 1
    assert await order(queue) == [favoured, plain]


async def test_it_can_be_asked_before_anything_is_done(store: Store) -> None:
    queue = JobQueue(store, Limits(per_user=1))
    await queue.admit(of(1))
    assert queue.places() == {}
    await queue.accept(of(1))
    with pytest.raises(Refused):
        await queue.admit(of(1))
    await JobQueue(store).admit(of(1))


async def test_what_cannot_be_lined_up_is_not_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> dict[int, float]:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "last_served", fail)
    queue = JobQueue(store)
    with pytest.raises(sqlite3.OperationalError):
        await queue.accept(of(1))
    assert await store.jobs_in(JobState.PENDING, "discord") == []
    assert queue.places() == {}


async def test_the_next_in_line_waits_through_a_pause_and_a_restart(store: Store) -> None:
    queue = JobQueue(store)
    await queue.pause()
    [job_id] = await entered(queue, of(1))
    waiting = asyncio.create_task(queue.next())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert queue.places()[job_id].paused
    waiting.cancel()

    queue = JobQueue(store)
    await queue.resume("discord")
    assert queue.paused
    waiting = asyncio.create_task(queue.next())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    await queue.unpause()
    assert (await waiting).id == job_id
    again = JobQueue(store)
    await again.resume("discord")
    assert not again.paused


async def test_every_change_of_the_line_is_told(store: Store) -> None:
    queue, told = JobQueue(store), 0

    def moved() -> None:
        nonlocal told
        told += 1

    queue.moved = moved
    [job_id] = await entered(queue, of(1))
    assert told == 1
    await queue.pause()
    await queue.unpause()
    assert told == 3
    queue.leave(job_id)
    assert told == 4


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_when_each_will_be_ready_is_learnt_and_said(store: Store) -> None:
    """Ten seconds a job, in the past; since then one began four seconds ago."""
    clock = Clock()
    for _ in range(5):
        job = await running(store, of(5))
        finished = await store.finish(job, recipe(job.request), [record()], [])
        assert finished is not None
    queue = JobQueue(store, loaded=lambda: "demo", clock=clock)
    await queue.resume("discord")  # these took a moment only, in the store
    await entered(queue, of(1))
    for _ in range(20):
        # One after the other, ten seconds each.
        job = await queue.next()
        clock.now += 10
        queue.painted(replace(job, started_at=0, finished_at=10_000))
        queue.leave(job.id)
        await entered(queue, of(1))
    job = await queue.next()
    clock.now += 4
    a, b = await entered(queue, of(2), of(3))
    places = queue.places()
    assert places[job.id].ready_at == pytest.approx(clock.now + 6, abs=1)
    assert places[a].ready_at == pytest.approx(clock.now + 16, abs=2)
    assert places[b].ready_at == pytest.approx(clock.now + 26, abs=3)
    # The running one is late: the others are told a later time, not one that has passed.
    clock.now += 60
    late = queue.places()[a].ready_at
    assert late is not None
    assert late > clock.now + 9
    await queue.pause()
    assert queue.places()[a].ready_at is None


async def test_before_anything_was_painted_no_time_is_promised(store: Store) -> None:
    queue = JobQueue(store)
    [job_id] = await entered(queue, of(1))
    assert queue.places()[job_id].ready_at is None


async def test_a_long_line_is_told_to_its_end(store: Store) -> None:
    queue = JobQueue(store)
    ids = await entered(queue, *(of(user, "x" if user % 2 else "y") for user in range(100)))
    places = queue.places()
    assert sorted(places) == sorted(ids)
    assert [place.position for place in places.values()] == [*range(1, 101)]
    assert [ticket.job.id for ticket in queue.standings()] == [*places]
    for job_id in ids[:99]:
        queue.leave(job_id)
    assert [*queue.places()] == [ids[99]]


async def test_what_cannot_be_taken_back_is_painted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = JobQueue(store)
    ticket = await queue.accept(new_job())

    async def refuse(job: Job) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "cancel", refuse)
    await queue.abandon(ticket)
    assert (await queue.next()).id == ticket.job.id
