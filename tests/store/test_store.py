"""The store: what it accepts, what is read back, and a job's lane."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.errors import Loss, Refused, StoreError
from bot.store import Discord, Failure, Job, JobState, Store, Usage
from bot.store.jobs import now_ms
from bot.store.origins import Unknown
from bot.store.usage import DAY
from tests.store.factories import (
    CANARY,
    REQUEST,
    done,
    in_channel,
    new_job,
    recipe,
    record,
    request,
    running,
)

S = JobState
FAILURE = Failure("job.timeout", {"seconds": 600})


class TestAccepting:
    async def test_a_job_is_kept_whole(self, store: Store) -> None:
        new = new_job(
            guild_id=1, channel_id=2, reply_to=3, locale="de", upload_limit=99, kind="imagine"
        )
        job = await store.accept(new)
        assert job == await store.job(job.id)
        assert (job.state, job.attempt) == (S.PENDING, 0)
        assert job.request == REQUEST
        assert (
            job.origin
            == new.origin
            == Discord(
                user_id=7, guild_id=1, channel_id=2, reply_to=3, locale="de", upload_limit=99
            )
        )
        assert (job.person, job.community, job.kind) == ("discord:7", "discord:1", "imagine")
        assert (job.error, job.recipe, job.started_at) == (None,) * 3
        assert job.warnings == ()
        assert job.seconds == 0.0

    async def test_a_parent_must_be_there(self, store: Store) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            await store.accept(new_job(kind="reroll", parent_id="nobody"))
        parent = await store.accept(new_job())
        child = await store.accept(new_job(kind="reroll", parent_id=parent.id))
        assert child.parent_id == parent.id

    async def test_what_it_may_not_exceed_holds_when_fifty_ask_at_once(self, store: Store) -> None:
        """The check sees in its transaction what the others have stored by then."""

        def at_most_seven(usage: Usage) -> None:
            if len(usage.images) >= 7:
                raise Refused("queue.quota", limit=7, when=0)

        asked = await asyncio.gather(
            *(store.accept(new_job(user_id=n % 2), at_most_seven) for n in range(50)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, Job) for answer in asked) == 14
        assert {type(answer) for answer in asked} == {Job, Refused}
        assert len(await store.jobs_in(S.PENDING, ("discord",))) == 14

    async def test_ids_are_short_and_easily_read(self, store: Store) -> None:
        ids = {(await store.accept(new_job())).id for _ in range(20)}
        assert len(ids) == 20
        assert all(len(job_id) == 10 and not set(job_id) & set("01ilo") for job_id in ids)


class TestUsage:
    async def used(self, store: Store) -> Usage:
        return await store.usage("discord:7", now_ms() / 1000)

    async def test_pictures_of_a_day_count_but_not_those_of_failed_jobs(self, store: Store) -> None:
        assert (await self.used(store)).images == ()
        await store.accept(new_job(request=request(count=3)))
        await store.accept(new_job(user_id=8))
        await done(store)
        assert len((await self.used(store)).images) == 4
        failed = await running(store, new_job(request=request(count=4)))
        assert len((await self.used(store)).images) == 8
        await store.fail(failed, FAILURE)
        assert len((await self.used(store)).images) == 4
        await store.cancel(await store.accept(new_job()))
        await store.cancel(await running(store))
        assert len((await self.used(store)).images) == 4
        tomorrow = now_ms() / 1000 + DAY + 1
        assert await store.usage("discord:7", tomorrow) == Usage()

    async def test_when_somebody_last_asked(self, store: Store) -> None:
        job = await store.accept(new_job())
        await store.accept(new_job(user_id=8))
        assert (await self.used(store)).asked_at == job.created_at / 1000

    @pytest.mark.parametrize("end", ["cancelled", "failed"])
    async def test_what_gives_back_the_quota_still_counts_as_the_last_request(
        self, store: Store, end: str
    ) -> None:
        """Otherwise asking and cancelling in turn would have no cooldown."""
        job = await store.accept(new_job())
        await (store.cancel(job) if end == "cancelled" else store.fail(job, FAILURE))
        assert await self.used(store) == Usage(asked_at=job.created_at / 1000)

    async def test_a_request_in_the_future_counts_as_now_from_then_on(self, store: Store) -> None:
        """The clock was a year ahead when the second one was asked for."""
        first, second = [await store.accept(new_job()) for _ in range(2)]
        now = now_ms() + 60_000
        await store._database.write(
            lambda write: write.execute(
                "UPDATE jobs SET created_at = created_at + 31536000000 WHERE id = ?", (second.id,)
            )
        )
        times = (first.created_at / 1000, now / 1000)
        assert (await store.usage("discord:7", now / 1000)).images == times
        # Were it now each time, a cooldown would never end.
        assert (await store.usage("discord:7", now / 1000 + 60)).images == times
        assert (await store.job(second.id)).created_at == now


class TestServing:
    async def test_who_was_served_when(self, store: Store) -> None:
        await store.accept(new_job(user_id=1))
        first = await running(store, new_job(user_id=2))
        second = await running(store, new_job(user_id=2))
        await store.requeue(second)
        assert first.started_at is not None
        assert second.started_at is not None
        assert await store.last_served(["discord:1", "discord:2", "cli"]) == {
            "discord:2": second.started_at / 1000
        }

    async def test_whose_turn_it_was_instead_is_remembered(self, store: Store) -> None:
        passed = await store.accept(new_job())
        for times in (1, 2):
            other = await store.accept(new_job())
            started = await store.start(other.id, [passed.id])
            assert started is not None
            found = await store.job(passed.id)
            assert found.passed == times
            if times == 1:
                due_at = started.started_at
            assert found.due_at == due_at
        assert await store.start(other.id, [passed.id]) is None
        assert (await store.job(passed.id)).passed == 2

    async def test_what_there_is_to_learn_from(self, store: Store) -> None:
        jobs = []
        for seed in range(4):
            job = await running(store, new_job(request=request(seed=seed)))
            await asyncio.to_thread(wait_for_the_next_millisecond)
            jobs.append(await store.finish(job, recipe(), [record()], []))
        await store.fail(await running(store), FAILURE)
        await store.deliver(jobs[2] or jobs[0] or job, 20, 30)
        painted = await store.painted(("discord",), limit=3)
        assert [one.request.seed for one in painted] == [1, 2, 3]
        assert [one.seconds for one in painted] == [job.seconds for job in jobs[1:] if job]
        assert await store.painted(("cli",)) == []


def wait_for_the_next_millisecond() -> None:
    now = now_ms()
    while now_ms() == now:
        pass


class TestReading:
    async def test_jobs_come_oldest_first(self, store: Store) -> None:
        ids = [(await store.accept(new_job())).id for _ in range(5)]
        assert [job.id for job in await store.jobs_in(S.PENDING, ("discord",))] == ids
        assert await store.jobs_in(S.PENDING, ("cli",)) == []

    async def test_what_is_not_there(self, store: Store) -> None:
        assert await store.find("nothing") is None
        assert await store.messages.job_of(1) is None
        assert await store.images("nothing") == ()
        assert await store.setting("nothing") is None
        with pytest.raises(LookupError, match="nothing"):
            await store.job("nothing")

    async def test_a_message_shows_one_job(self, store: Store) -> None:
        one, other = await store.accept(new_job()), await store.accept(new_job())
        await store.messages.set(one.id, 1, 2)
        with pytest.raises(sqlite3.IntegrityError):
            await store.messages.set(other.id, 1, 2)

    async def test_a_job_of_an_older_version_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "old.sqlite3"
        async with Store.open(path) as store:
            job = await store.accept(new_job())
        with closing(sqlite3.connect(path)) as connection:
            [(stored,)] = connection.execute("SELECT request FROM jobs").fetchall()
            older = json.loads(stored)
            for name in ("preset", "spacing", "hires", "init_image", "reference", "kernels"):
                del older[name]
            del older["adapters"][0]["text_weight"]
            connection.execute("UPDATE jobs SET request = ?", (json.dumps(older),))
            connection.commit()
        async with Store.open(path) as store:
            assert (await store.job(job.id)).request == job.request
            assert await store.input_uses.of_all(["a" * 64]) == {}

    async def test_settings_are_replaced(self, store: Store) -> None:
        for value in ("a", "b"):
            await store.set_setting("key", value)
            assert await store.setting("key") == value

    async def test_a_job_does_not_show_its_prompt(self, store: Store) -> None:
        assert CANARY not in repr(await store.accept(new_job()))

    async def test_all_of_it_is_there_after_reopening(self, tmp_path: Path) -> None:
        path = tmp_path / "again.sqlite3"
        async with Store.open(path) as store:
            job = await done(store, in_channel(locale="pt-BR"))
            await store.set_setting("key", "value")
        async with Store.open(path) as store:
            assert await store.job(job.id) == job
            assert await store.images(job.id) == (record(),)
            assert await store.setting("key") == "value"


async def test_what_was_kept_is_never_hidden_by_a_failure_to_read_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise StoreError("the disk cannot be read")

    for name in ("row", "rows"):
        monkeypatch.setattr(store._database, name, refuse)
    job = await store.accept(new_job())
    started = await store.start(job.id)
    assert started is not None
    ended = await store.cancel(started)
    assert ended is not None
    assert ended.state is JobState.CANCELLED


class TestUnknownOrigins:
    """As after a newer version of the bot, or damage."""

    @pytest.mark.parametrize(
        "damage", ["DELETE FROM discord_jobs", "UPDATE jobs SET origin = 'of tomorrow'"]
    )
    async def test_a_job_is_read_all_the_same(
        self, store: Store, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        job = await store.accept(in_channel())
        await store._database.write(lambda write: write.execute(damage))
        found = await store.job(job.id)
        assert found.origin == Unknown("discord:7", "discord:1")
        assert (found.person, found.community) == ("discord:7", "discord:1")
        assert found.poison == Failure("job.unreadable", {})
        assert f"job {job.id}: where it was asked" in caplog.text


class TestABrokenDevice:
    async def test_it_is_not_the_fault_of_every_job(self, store: Store) -> None:
        """Only a job that fails where others do not is surely the cause."""
        jobs = [await running(store) for _ in range(3)]
        lost = [await store.lose(job, Loss.DEVICE) for job in jobs]
        assert [job.own_crashes for job in lost if job] == [1, 0, 0]
        await done(store)
        again = await store.start(jobs[1].id)
        assert again is not None
        lost_again = await store.lose(again, Loss.DEVICE)
        assert lost_again is not None
        assert (lost_again.crashes, lost_again.own_crashes) == (2, 1)

    async def test_a_hang_is_its_own(self, store: Store) -> None:
        for _ in range(2):
            lost = await store.lose(await running(store), Loss.HUNG)
            assert lost is not None
            assert lost.own_crashes == 1


class TestLanes:
    async def test_a_device_that_keeps_failing_is_told_from_one_that_works(
        self, store: Store
    ) -> None:
        """Another lane that generates says nothing about the one that fails."""
        first, second, third = [await store.accept(new_job()) for _ in range(3)]
        ended = await store.start(first.id, lane="gpu-1")
        assert ended is not None
        lost = await store.lose(ended, Loss.DEVICE)
        assert lost is not None
        assert lost.own_crashes == 1  # it is the first that it fails at
        other = await store.start(second.id, lane="gpu-0")
        assert other is not None
        assert await store.finish(other, recipe(), [record()], [])
        next_there = await store.start(third.id, lane="gpu-1")
        assert next_there is not None
        lost = await store.lose(next_there, Loss.DEVICE)
        assert lost is not None
        assert (lost.crashes, lost.own_crashes, lost.lane) == (1, 0, "gpu-1")

    async def test_a_kill_from_outside_is_not_surely_the_jobs(self, store: Store) -> None:
        lost = await store.lose(await running(store), Loss.DIED, sure=False)
        assert lost is not None
        assert (lost.crashes, lost.own_crashes) == (1, 0)

    async def test_the_largest_gpu_that_was_too_small_is_kept(self, store: Store) -> None:
        job = await running(store)
        for size, kept in ((8, 8), (24, 24), (16, 24), (0, 24)):
            again = await store.requeue(job, size)
            assert again is not None
            assert (again.state, again.memory_above, again.crashes) == (S.PENDING, kept, 0)
            started = await store.start(job.id)
            assert started is not None
            job = started
