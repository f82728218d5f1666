"""The store: every transition of a job, and its fencing."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import product

import pytest

from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.store import Failure, Job, JobState, Store
from tests.store.factories import (
    done,
    in_channel,
    new_job,
    of_cli,
    origin_of,
    recipe,
    record,
    request,
    running,
)

S = JobState
FAILURE = Failure("job.timeout", {"seconds": 600})
Change = Callable[[Store, Job], Awaitable[Job | None]]
CHANGES: dict[str, tuple[Change, set[JobState], JobState]] = {
    "start": (lambda store, job: store.start(job.id), {S.PENDING}, S.RUNNING),
    "requeue": (lambda store, job: store.requeue(job), {S.RUNNING}, S.PENDING),
    "finish": (
        lambda store, job: store.finish(job, recipe(), [record()], []),
        {S.RUNNING},
        S.DONE,
    ),
    "deliver": (lambda store, job: store.deliver(job, 20, 30), {S.DONE}, S.DELIVERED),
    "fail": (
        lambda store, job: store.fail(job, FAILURE),
        {S.PENDING, S.RUNNING, S.DONE},
        S.FAILED,
    ),
    "cancel": (lambda store, job: store.cancel(job), {S.PENDING, S.RUNNING}, S.CANCELLED),
}


async def brought_to(store: Store, state: JobState) -> Job:
    job = await store.accept(in_channel())
    if state is S.PENDING:
        return job
    if state is S.CANCELLED:
        return await store.cancel(job) or job
    job = await store.start(job.id) or job
    if state is S.FAILED:
        return await store.fail(job, FAILURE) or job
    if state in (S.DONE, S.DELIVERED):
        job = await store.finish(job, recipe(), [record()], []) or job
    if state is S.DELIVERED:
        job = await store.deliver(job) or job
    return job


class TestTransitions:
    @pytest.mark.parametrize(("state", "name"), list(product(S, CHANGES)))
    async def test_each_is_taken_from_its_states_only(
        self, store: Store, state: JobState, name: str
    ) -> None:
        change, allowed, into = CHANGES[name]
        job = await brought_to(store, state)
        assert job.state is state
        changed = await change(store, job)
        after = await store.job(job.id)
        if state in allowed:
            assert changed == after
            assert after.state is into
        else:
            assert changed is None
            assert after == job

    @pytest.mark.parametrize("name", [name for name in CHANGES if name != "start"])
    async def test_a_stale_worker_changes_nothing(self, store: Store, name: str) -> None:
        change, allowed, _ = CHANGES[name]
        for state in allowed:
            job = await brought_to(store, state)
            for attempt in (job.attempt - 1, job.attempt + 1):
                assert await change(store, replace(job, attempt=attempt)) is None
            assert await store.job(job.id) == job
            assert await store.images(job.id) == ((record(),) if state is S.DONE else ())

    async def test_a_change_of_one_job_leaves_the_others(self, store: Store) -> None:
        other = await store.accept(new_job())
        for state in S:
            await brought_to(store, state)
        assert await store.job(other.id) == other

    async def test_each_start_is_one_more_attempt(self, store: Store) -> None:
        job = await running(store)
        assert job.attempt == 1
        await store.requeue(job)
        again = await store.start(job.id)
        assert again is not None
        assert again.attempt == 2
        assert again.request == job.request

    async def test_of_many_that_start_one_job_one_wins(self, store: Store) -> None:
        job = await store.accept(new_job())
        started = await asyncio.gather(*(store.start(job.id) for _ in range(20)))
        assert sum(one is not None for one in started) == 1

    async def test_finishing_keeps_recipe_warnings_and_images(self, store: Store) -> None:
        job = await running(store, new_job(request=request(count=2)))
        notices = [Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})]
        finished = await store.finish(job, recipe(), [record(0), record(1)], notices)
        assert finished is not None
        assert finished.recipe == recipe()
        assert finished.warnings == tuple(notices)
        assert await store.images(job.id) == (record(0), record(1))
        assert finished.seconds >= 0

    async def test_what_is_known_at_first_stands_before_what_the_result_shows(
        self, store: Store
    ) -> None:
        first = Notice("dialect.form.words", {"form": "[a|b]"})
        late = Notice("adapter.no_scale", {"adapter": "ink"})
        accepted = await store.accept(replace(new_job(), warnings=(first,)))
        assert accepted.warnings == (first,)
        job = await store.start(accepted.id)
        assert job is not None
        await store.requeue(job)
        job = await store.start(accepted.id)
        assert job is not None
        finished = await store.finish(job, recipe(), [record()], [late])
        assert finished is not None
        assert finished.warnings == (first, late)

    async def test_finishing_that_fails_halfway_leaves_it_running(self, store: Store) -> None:
        job = await running(store)
        unsound = replace(record(), seed=None)  # type: ignore[arg-type]
        with pytest.raises(sqlite3.IntegrityError):
            await store.finish(job, recipe(), [record(), replace(unsound, n=1)], [])
        assert (await store.job(job.id)).state is S.RUNNING
        assert await store.images(job.id) == ()

    async def test_delivering_remembers_the_message(self, store: Store) -> None:
        job = await done(store, in_channel())
        delivered = await store.deliver(job, 21, 31)
        assert delivered is not None
        assert (origin_of(delivered).channel_id, origin_of(delivered).message_id) == (21, 31)
        assert await store.messages.job_of(31) == delivered

    async def test_delivering_without_a_message_keeps_the_known_one(self, store: Store) -> None:
        job = await done(store, in_channel())
        await store.messages.set(job.id, 20, 30)
        delivered = await store.deliver(job)
        assert delivered is not None
        assert (origin_of(delivered).channel_id, origin_of(delivered).message_id) == (20, 30)

    async def test_a_failure_is_kept(self, store: Store) -> None:
        failed = await store.fail(await running(store), FAILURE)
        assert failed is not None
        assert failed.error == FAILURE
        assert failed.finished_at is not None

    def test_a_failure_is_made_of_an_error(self) -> None:
        failure = Failure.of(InvalidRequest("steps", "number.range", value=5))
        assert failure == Failure("number.range", {"field": "steps", "value": 5})

    async def test_what_a_crash_left_running_waits_again(self, store: Store) -> None:
        crashed, ended = await running(store), await done(store)
        other = await running(store, of_cli())
        await store.requeue_all(("discord",))
        assert (await store.job(crashed.id)).state is S.PENDING
        assert (await store.job(ended.id)).state is S.DONE
        assert (await store.job(other.id)).state is S.RUNNING
        # A worker from before the crash has no access any more once the job is started again.
        await store.start(crashed.id)
        assert await store.finish(crashed, recipe(), [record()], []) is None
