"""What an earlier process left behind, resumed by the next one."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.process.lock import Claims
from bot.queue.outlook import PART
from bot.store import BLAMELESS_MAX, CRASHES_MAX, OWN_CRASHES_MAX, Failure, Job, JobState, Store
from bot.store.database import Row
from bot.worker.observers import Kept
from bot.worker.recovery import LastEnd, LeftBehind, recover, tell
from tests.queue.lanes import ORIGINS, entered, next_of, of, positions, queue_of
from tests.store.factories import CANARY, any_job, done, new_job, of_cli, running
from tests.worker.recovering import recovered


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "x.sqlite3") as opened:
        yield opened


async def test_what_was_left_behind_is_lined_up_and_nothing_else(
    store: Store, tmp_path: Path
) -> None:
    claims, queue = Claims(tmp_path), queue_of(store)
    waiting = await store.accept(of_cli())
    interrupted = await running(store, of_cli())
    painted = await done(store, of_cli())
    of_discord = await store.accept(new_job())
    alive = of_cli()
    with claims.held(alive.id):
        await store.accept(alive)
        await recover(store, queue, (), claims)
        assert list(queue.places()) == [waiting.id, interrupted.id]
        assert (await store.job(interrupted.id)).crashes == 1
        assert (await store.job(painted.id)).state is JobState.DELIVERED
        assert [(await next_of(queue)).id for _ in range(2)] == [waiting.id, interrupted.id]
        for job_id in (of_discord.id, alive.id):
            assert (await store.job(job_id)).state is JobState.PENDING
            assert (await store.job(job_id)).crashes == 0


async def test_one_that_processes_die_of_is_given_up(store: Store, tmp_path: Path) -> None:
    job = await running(store, of_cli())
    for _ in range(9):
        queue = queue_of(store)
        await recover(store, queue, (), Claims(tmp_path))
        if queue.places():
            assert (await next_of(queue)).id == job.id
    failed = await store.job(job.id)
    assert failed.state is JobState.FAILED
    assert failed.error is not None
    assert failed.error.code.startswith("job.")


async def test_a_restart_lines_up_what_waited_and_what_ran(store: Store) -> None:
    crashed = await running(store)
    waiting = await store.accept(new_job())
    painted = await done(store)
    other = await store.accept(of_cli())
    queue = queue_of(store)
    left = await recovered(store, queue)
    assert positions(queue) == {waiting.id: 1, crashed.id: 2}
    first, second = await next_of(queue), await next_of(queue)
    assert (first.id, first.attempt) == (waiting.id, 1)
    assert (second.id, second.attempt) == (crashed.id, 2)
    assert (await store.job(other.id)).state is JobState.PENDING
    assert [job.id for job in left.painted] == [painted.id]
    assert left.untold == left.given_up == ()


async def test_a_job_that_the_process_dies_of_too_often_is_given_up(store: Store) -> None:
    job = await running(store)
    for crashes in range(1, CRASHES_MAX):
        queue = queue_of(store)
        left = await recovered(store, queue)
        assert positions(queue) == {job.id: 1}
        assert (await store.job(job.id)).crashes == crashes
        assert left.given_up == ()
        assert await store.start(job.id)
    queue = queue_of(store)
    left = await recovered(store, queue)
    [failed] = left.given_up
    assert (failed.id, failed.error) == (job.id, Failure("job.died", {}))
    assert positions(queue) == {}


async def test_what_it_surely_did_counts_for_more(store: Store) -> None:
    job = await running(store)
    queue = queue_of(store)
    left = await recovered(store, queue, LastEnd(crashed=True))
    assert left.given_up == ()
    assert await store.start(job.id)
    left = await recovered(store, queue_of(store), LastEnd(crashed=True))
    [failed] = left.given_up
    assert failed.error == Failure("job.died", {})


async def test_of_two_that_ran_it_is_unknown_which_one_did_it(store: Store) -> None:
    jobs = [await running(store), await running(store)]
    for _ in range(OWN_CRASHES_MAX):
        left = await recovered(store, queue_of(store), LastEnd(crashed=True))
        assert left.given_up == ()
        jobs = [job for job in [await store.start(job.id) for job in jobs] if job]
        assert [(job.crashes > 0, job.own_crashes) for job in jobs] == [(True, 0)] * 2


async def test_a_restart_of_the_machine_is_no_fault_of_a_job(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await running(store)
    for boot in range(CRASHES_MAX + 1):
        monkeypatch.setattr(store, "_boot", f"boot {boot}")
        await recovered(store, queue_of(store), LastEnd(crashed=True))
        started = await store.start(job.id)
        assert started is not None
        assert (started.crashes, started.suspect) == (0, False)
    # The same boot, and a boot that is not known, are no excuse.
    for known, crashes in ((f"boot {CRASHES_MAX}", 1), (None, 2)):
        monkeypatch.setattr(store, "_boot", known)
        await recovered(store, queue_of(store))
        started = await store.start(job.id)
        assert started is not None
        assert started.crashes == crashes


async def test_a_stop_that_took_too_long_is_no_fault_of_a_job(store: Store) -> None:
    job = await running(store)
    for _ in range(CRASHES_MAX + 1):
        await recovered(store, queue_of(store), LastEnd(asked=True))
        assert await store.start(job.id)
    assert (await store.job(job.id)).crashes == 0


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
    await store._database.write(
        lambda write: write.execute(
            "UPDATE jobs SET request = ?, recipe = '{', started_at = started_at - 5 WHERE id != ?",
            (request_text, waiting.id),
        )
    )
    queue = queue_of(store)
    left = await recovered(store, queue)
    assert [*queue.places()] == [waiting.id]
    failure = Failure("job.unreadable", {})
    assert [(failed.id, failed.error) for failed in left.given_up] == [(damaged.id, failure)]
    assert [job.id for job in await store.untold(ORIGINS)] == [damaged.id]
    assert [job.id for job in await store.jobs_in(JobState.DONE, ORIGINS)] == [painted.id]
    assert f"job {old.id}: its request cannot be read" in caplog.text
    assert CANARY not in caplog.text
    # Nor does it stop the user who requested it.
    assert len((await store.usage("discord:7", time.time())).images) == 3
    assert await store.input_uses.of_all(["a" * 64]) == {}


async def test_a_shutdown_is_no_crash(store: Store) -> None:
    job = await running(store)
    for _ in range(CRASHES_MAX + 2):
        assert await store.requeue(job)
        await recovered(store, queue_of(store))
        started = await store.start(job.id)
        assert started is not None
        job = started
    assert job.crashes == 0


async def test_whose_turn_it_is_survives_a_restart(store: Store) -> None:
    first = queue_of(store)
    a1, a2, b1, c1 = await entered(first, of(1), of(1), of(2), of(3))
    assert (await next_of(first)).id == a1
    first.leave(a1)
    await done(store, of(2))
    # Another user's turn was skipped for the loaded model.
    assert await store.start(c1, [b1])
    queue = queue_of(store)
    await recovered(store, queue)
    # What had begun goes last: the process may have died of it. 1 was served before 2.
    assert [*queue.places()] == [a2, b1, a1, c1]
    assert {job.id: job.passed for job in await store.jobs_in(JobState.PENDING, ORIGINS)} == {
        a1: 0,
        a2: 0,
        b1: 1,
        c1: 0,
    }


async def test_a_long_queue_is_lined_up_in_parts_between_which_others_have_their_turn(
    store: Store,
) -> None:
    await asyncio.gather(*(store.accept(new_job(user_id=n)) for n in range(2 * PART)))
    queue, seen = queue_of(store), set[int]()

    async def look() -> None:
        while True:
            seen.add(len(queue))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    try:
        await recovered(store, queue)
    finally:
        looking.cancel()
        frozen = gc.get_freeze_count()
        gc.unfreeze()
    assert {0, PART, 2 * PART} <= {*seen, len(queue)}
    assert seen <= {0, PART, 2 * PART}
    assert frozen > 2 * PART
    assert gc.isenabled()


async def test_garbage_of_a_short_queue_is_collected_as_ever(store: Store) -> None:
    await store.accept(new_job())
    await recovered(store, queue_of(store))
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


async def test_jobs_are_read_in_another_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.accept(new_job())
    threads, read = [], Job.from_row

    def watched(row: Row) -> Job:
        threads.append(threading.current_thread())
        return read(row)

    monkeypatch.setattr(Job, "from_row", watched)
    assert await store.jobs_in(JobState.PENDING, ORIGINS)
    assert threading.main_thread() not in threads


async def test_thousands_of_results_are_told_in_parts(store: Store) -> None:
    """And one that cannot be told keeps none of the others from it."""
    told: list[str] = []
    begun: list[int] = []

    class Teller(Kept):
        async def finished(self, job: Job) -> None:
            if job.id == "job0":
                raise ValueError("this one not")
            told.append(job.id)

    async def look() -> None:
        while True:
            begun.append(len(told))
            await asyncio.sleep(0)

    jobs = tuple(any_job(id=f"job{n}") for n in range(2 * PART))
    looking = asyncio.create_task(look())
    await tell(LeftBehind(jobs, (), ()), Teller(store), Teller(store))
    looking.cancel()
    assert told == [job.id for job in jobs[1:]]
    assert {PART - 1, 2 * PART - 1} <= {*begun, len(told)}


async def test_a_job_in_another_process_is_not_suspected_of_having_ended_the_bot(
    store: Store,
) -> None:
    """A bot with fifty lanes would otherwise have fifty suspects, one after the other."""
    job = await store.accept(new_job())
    for attempt in range(1, BLAMELESS_MAX + 1):
        started = await store.start(job.id, isolated=True)
        assert started is not None
        assert started.attempt == attempt
        await recovered(store, queue_of(store), LastEnd(crashed=True))
        assert (await store.job(job.id)).crashes == 0
    # Saving its images may have done it each time.
    await store.start(job.id, isolated=True)
    await recovered(store, queue_of(store))
    again = await store.job(job.id)
    assert (again.crashes, again.own_crashes) == (1, 0)


async def test_attempts_that_ended_otherwise_do_not_count(store: Store) -> None:
    """Lanes that were drained and workers that left say nothing of the job."""
    job = await store.accept(new_job())
    for _ in range(BLAMELESS_MAX + 1):
        started = await store.start(job.id, isolated=True)
        assert started is not None
        await store.requeue(started)
    await store.start(job.id, isolated=True)
    await recovered(store, queue_of(store), LastEnd(crashed=True))
    assert (await store.job(job.id)).crashes == 0


async def test_it_makes_no_other_job_less_suspect(store: Store) -> None:
    """If one of the bot's threads ended it, that was the job in such a thread."""
    apart, inside = [await store.accept(new_job()) for _ in range(2)]
    await store.start(apart.id, isolated=True)
    await store.start(inside.id)
    await recovered(store, queue_of(store), LastEnd(crashed=True))
    assert (await store.job(apart.id)).crashes == 0
    assert (await store.job(inside.id)).own_crashes == 1
