"""The queue: kept in step with the store, and no job runs before its user was told."""

import asyncio
import sqlite3
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.errors import AnsweredElsewhere, Refused, StoreError
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.store import Job, JobState, Store
from tests.queue.lanes import ORIGINS, entered, next_of, of, positions, queue_of
from tests.store.factories import new_job, recipe, record, running


async def accepted(queue: JobQueue, count: int) -> list[str]:
    return [(await queue.accept(new_job(user_id=n))).job.id for n in range(count)]


async def state(store: Store, job_id: str) -> JobState:
    return (await store.job(job_id)).state


async def test_places_are_counted_from_one(store: Store) -> None:
    queue = queue_of(store)
    tickets = [await queue.accept(new_job()) for _ in range(3)]
    assert [ticket.position for ticket in tickets] == [1, 2, 3]
    assert positions(queue) == {ticket.job.id: n for n, ticket in enumerate(tickets, start=1)}


async def test_the_order_is_that_of_release(store: Store) -> None:
    queue = queue_of(store)
    ids = await accepted(queue, 3)
    for job_id in ids:
        queue.release(job_id)
    assert [(await next_of(queue)).id for _ in ids] == ids


async def test_the_next_job_is_running_when_it_is_handed_out(store: Store) -> None:
    queue = queue_of(store)
    [job_id] = await accepted(queue, 1)
    queue.release(job_id)
    job = await next_of(queue)
    assert job == await store.job(job_id)
    assert (job.state, job.attempt) == (JobState.RUNNING, 1)
    assert positions(queue) == {job_id: 1}


async def test_a_job_that_is_not_released_is_left_alone(store: Store) -> None:
    queue = queue_of(store)
    first, second = await accepted(queue, 2)
    queue.release(second)
    assert (await next_of(queue)).id == second
    waiting = asyncio.create_task(next_of(queue))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    queue.release(first)
    assert (await waiting).id == first


async def test_everyone_moves_up_when_one_leaves(store: Store) -> None:
    queue = queue_of(store)
    first, second, third = await accepted(queue, 3)
    queue.leave(second)
    assert positions(queue) == {first: 1, third: 2}
    queue.leave(second)
    queue.leave("nobody")
    assert positions(queue) == {first: 1, third: 2}


async def test_an_abandoned_job_is_cancelled_and_gives_its_place_free(store: Store) -> None:
    queue = queue_of(store, limits=Limits(size=1, per_user=1))
    ticket = await queue.accept(new_job())
    with pytest.raises(Refused):
        await queue.accept(new_job())
    await queue.abandon(ticket)
    assert await state(store, ticket.job.id) is JobState.CANCELLED
    assert positions(queue) == {}
    assert (await queue.accept(new_job())).position == 1


async def test_a_job_is_released_even_if_its_person_cannot_be_told_yet(store: Store) -> None:
    queue = queue_of(store, held=0.0)
    told = asyncio.Event()

    async def ask() -> None:
        async with queue.accepting(new_job()):
            await told.wait()

    asking = asyncio.create_task(ask())
    job = await asyncio.wait_for(next_of(queue), 5)
    assert not asking.done()
    told.set()
    await asking
    assert (queue.running, [*queue.places()]) == ((job,), [job.id])
    newcomer = asyncio.create_task(queue.newcomer())
    assert await newcomer is None  # announced once, and running by now
    assert queue._newcomers.empty()


async def test_until_then_it_is_held(store: Store) -> None:
    queue = queue_of(store, held=600.0)
    async with queue.accepting(new_job()) as ticket:
        waiting = asyncio.create_task(next_of(queue))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
    assert (await waiting).id == ticket.job.id


@pytest.mark.parametrize("started", [True, False])
async def test_a_person_who_cannot_be_told_in_the_end_loses_only_a_waiting_job(
    store: Store, started: bool
) -> None:
    queue = queue_of(store, held=0.0)
    await queue.still.pause(paused=True)
    ids = []

    async def ask() -> None:
        async with queue.accepting(new_job()) as ticket:
            ids.append(ticket.job.id)
            if started:
                await queue.still.pause(paused=False)
                await asyncio.wait_for(next_of(queue), 5)
            raise PermissionError

    with pytest.raises(PermissionError):
        await ask()
    expected = JobState.RUNNING if started else JobState.CANCELLED
    assert await state(store, ids[0]) is expected
    assert [*queue.places()] == (ids if started else [])


async def test_who_is_blocked_is_known_without_the_store(store: Store) -> None:
    person = new_job(user_id=1).origin.person
    queue = queue_of(store, limits=Limits(blocked=frozenset({person})))
    with pytest.raises(Refused, match="blocked"):
        queue.check_not_blocked(person)
    queue.check_not_blocked(new_job(user_id=2).origin.person)
    queue_of(store).check_not_blocked(person)


async def test_a_refused_job_takes_no_place(store: Store) -> None:
    queue = queue_of(store, limits=Limits(size=5, per_user=1))
    await queue.accept(new_job())
    with pytest.raises(Refused):
        await queue.accept(new_job())
    assert len(queue.places()) == 1


async def test_a_job_that_was_cancelled_meanwhile_is_passed_over(store: Store) -> None:
    queue = queue_of(store)
    tickets = [await queue.accept(new_job()) for _ in range(2)]
    for ticket in tickets:
        queue.release(ticket.job.id)
    await store.cancel(tickets[0].job)
    assert (await next_of(queue)).id == tickets[1].job.id
    assert positions(queue) == {tickets[1].job.id: 1}


class FailingOnce(Store):
    """As if another process held the database for too long."""

    fails = True

    async def start(
        self,
        job_id: str,
        passed: Collection[str] = (),
        saving: Collection[Job] = (),
        lane: str | None = None,
        *,
        isolated: bool = False,
    ) -> Job | None:
        if self.fails:
            self.fails = False
            raise sqlite3.OperationalError("database is locked")
        return await super().start(job_id, passed, saving, lane, isolated=isolated)


async def test_a_job_that_could_not_be_started_is_not_forgotten(tmp_path: Path) -> None:
    async with FailingOnce.open(tmp_path / "x.sqlite3") as store:
        queue = queue_of(store)
        [job_id] = await accepted(queue, 1)
        queue.release(job_id)
        with pytest.raises(sqlite3.OperationalError):
            await next_of(queue)
        again: Any = await asyncio.wait_for(next_of(queue), 5)
        assert again.id == job_id


async def order(queue: JobQueue) -> list[str]:
    """The users in the order in which they are served, until none is waiting."""
    served = []
    while queue.places():
        job = await next_of(queue)
        served.append(job.id)
        queue.leave(job.id)
    return served


async def test_people_take_turns_and_see_it_in_their_places(store: Store) -> None:
    queue = queue_of(store)
    a1, a2, a3, b1 = await entered(queue, of(1), of(1), of(1), of(2))
    assert [*queue.places()] == [a1, b1, a2, a3]
    ticket = await queue.accept(of(3))
    assert ticket.position == 3
    assert await order(queue_of(store)) == []  # another queue knows of no jobs
    queue.release(ticket.job.id)
    assert await order(queue) == [a1, b1, ticket.job.id, a2, a3]


async def test_what_is_loaded_goes_ahead_and_whose_turn_it_was_is_written_down(
    store: Store,
) -> None:
    queue = queue_of(store, loaded=lambda: "warm")
    cold, warm = await entered(queue, of(1, "cold"), of(2, "warm"))
    assert [*queue.places()] == [warm, cold]
    assert (await next_of(queue)).id == warm
    assert (await store.job(cold)).passed == 1
    assert (await store.job(cold)).due_at == (await store.job(warm)).started_at


async def test_without_knowing_better_the_last_model_is_in_place(store: Store) -> None:
    queue = queue_of(store)
    a, b, c = await entered(queue, of(1, "x"), of(2, "y"), of(3, "x"))
    assert await order(queue) == [a, c, b]


async def test_a_role_with_priority_goes_ahead(store: Store) -> None:
    queue = queue_of(store, limits=Limits(priorities={9: 1}))
    plain, favoured = await entered(queue, of(1), of(2, roles=frozenset({9})))
    assert (await store.job(favoured)).priority == 1
    assert await order(queue) == [favoured, plain]


async def test_what_cannot_be_lined_up_is_not_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: object) -> dict[str, float]:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store, "last_served", fail)
    queue = queue_of(store)
    with pytest.raises(sqlite3.OperationalError):
        await queue.accept(of(1))
    assert await store.jobs_in(JobState.PENDING, ORIGINS) == []
    assert queue.places() == {}


async def test_the_next_in_line_waits_through_a_pause_and_a_restart(store: Store) -> None:
    queue = queue_of(store)
    await queue.still.pause(paused=True)
    [job_id] = await entered(queue, of(1))
    waiting = asyncio.create_task(next_of(queue))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert queue.places()[job_id].paused
    waiting.cancel()

    queue = queue_of(store)
    await queue.restore(ORIGINS)
    await queue.line_up(await store.jobs_in(JobState.PENDING, ORIGINS))
    assert queue.still.paused
    waiting = asyncio.create_task(next_of(queue))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    await queue.still.pause(paused=False)
    assert (await waiting).id == job_id
    again = queue_of(store)
    await again.restore(ORIGINS)
    assert not again.still.paused


async def test_every_change_of_the_line_is_told(store: Store) -> None:
    queue, told = queue_of(store), 0

    def moved() -> None:
        nonlocal told
        told += 1

    queue.subscribe(moved)
    [job_id] = await entered(queue, of(1))
    assert told == 1
    await queue.still.pause(paused=True)
    await queue.still.pause(paused=False)
    assert told == 3
    queue.leave(job_id)
    assert told == 4


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_when_each_will_be_ready_is_learnt_and_said(store: Store) -> None:
    """Ten seconds per job in the past; since then one began four seconds ago."""
    clock = Clock()
    for _ in range(5):
        job = await running(store, of(5))
        finished = await store.finish(job, recipe(job.request), [record()], [])
        assert finished is not None
    queue = queue_of(store, loaded=lambda: "demo", clock=clock)
    await queue.restore(ORIGINS)  # these took only a moment, in the store
    await entered(queue, of(1))
    for _ in range(20):
        # One after the other, ten seconds each.
        job = await next_of(queue)
        clock.now += 10
        queue.painted(replace(job, started_at=0, painted_at=10_000))
        queue.leave(job.id)
        await entered(queue, of(1))
    job = await next_of(queue)
    clock.now += 4
    a, b = await entered(queue, of(2), of(3))
    places = queue.places()
    assert places[job.id].ready_at == pytest.approx(clock.now + 6, abs=1)
    assert places[a].ready_at == pytest.approx(clock.now + 16, abs=2)
    assert places[b].ready_at == pytest.approx(clock.now + 26, abs=3)
    # The running one is late, so the others get a later time, not one in the past.
    clock.now += 60
    late = queue.places()[a].ready_at
    assert late is not None
    assert late > clock.now + 9
    await queue.still.pause(paused=True)
    assert queue.places()[a].ready_at is None


async def test_before_anything_was_painted_no_time_is_promised(store: Store) -> None:
    queue = queue_of(store)
    [job_id] = await entered(queue, of(1))
    assert queue.places()[job_id].ready_at is None


async def test_a_long_line_is_told_to_its_end(store: Store) -> None:
    queue = queue_of(store)
    ids = await entered(queue, *(of(user, "x" if user % 2 else "y") for user in range(100)))
    places = queue.places()
    assert sorted(places) == sorted(ids)
    assert [place.position for place in places.values()] == [*range(1, 101)]
    assert [ticket.job.id for ticket in await queue.standings()] == [*places]
    for job_id in ids[:99]:
        queue.leave(job_id)
    assert [*queue.places()] == [ids[99]]


async def test_what_cannot_be_taken_back_is_painted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_of(store)
    ticket = await queue.accept(new_job())

    async def refuse(job: Job) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "cancel", refuse)
    await queue.abandon(ticket)
    assert (await next_of(queue)).id == ticket.job.id


async def test_a_started_job_that_another_copy_has_answered_ends_without_a_word(
    store: Store,
) -> None:
    queue = queue_of(store, held=0.0)
    stopped: list[str] = []
    queue.stop_with(stopped.append)
    asked = new_job()

    async def ask() -> None:
        async with queue.accepting(asked):
            await asyncio.wait_for(next_of(queue), 5)
            raise AnsweredElsewhere

    with pytest.raises(AnsweredElsewhere):
        await ask()
    assert stopped == [asked.id]
    ended = await store.job(asked.id)
    assert (ended.state, ended.told_at is None) == (JobState.CANCELLED, False)
    assert await store.untold(("discord",)) == []


async def test_a_waiting_one_gives_its_place_free(store: Store) -> None:
    queue = queue_of(store, limits=Limits(size=1))
    with pytest.raises(AnsweredElsewhere):
        async with queue.accepting(new_job()):
            raise AnsweredElsewhere
    assert positions(queue) == {}
    assert (await queue.accept(new_job())).position == 1
