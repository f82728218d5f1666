"""What a crowd of reactions costs: in messages to the channel, and in what others wait for."""

import asyncio
from pathlib import Path

import discord
import pytest

from bot.chat.delivery import refused_reactions
from bot.chat.delivery.refused_reactions import SHOWN_AT_ONCE
from bot.chat.ui.reactions import SAME_SEED
from bot.queue.limits import Limits
from bot.store import JobState, discord_person
from tests.chat.delivery.discord_fakes import Call, http_error
from tests.cogs.crowd import Crowd
from tests.queue.lanes import ORIGINS, next_of

PEOPLE, ROOM = 500, 45


def is_refusal(call: Call) -> bool:
    return "embed" not in call.sent


async def test_a_blocked_person_costs_nothing(tmp_path: Path) -> None:
    limits = Limits(blocked=frozenset({discord_person(1)}))
    async with Crowd.gathered(tmp_path, limits) as crowd:
        for _ in range(100):
            await asyncio.wait_for(crowd.react(1), 10)
            await crowd.unreact(1)
        assert crowd.desk.world.calls == []
        other = asyncio.create_task(crowd.react(2))
        await crowd.bucket.until(1)
        crowd.bucket.let_through()
        await other
        assert [call.way for call in crowd.desk.world.calls] == ["send"]


async def left(tasks: set[asyncio.Task[None]], count: int) -> set[asyncio.Task[None]]:
    """Wait until only `count` of the tasks go on, and return these."""
    async with asyncio.timeout(60):
        while len(tasks) > count:
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    return tasks


async def test_of_a_crowd_few_are_refused_and_nobody_waits_behind_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_reactions, "PATIENCE", 600.0)
    async with Crowd.gathered(tmp_path, Limits(size=ROOM), held=0.0) as crowd:
        reactions = {asyncio.create_task(crowd.react(user)) for user in range(1, PEOPLE + 1)}
        reactions = await left(reactions, ROOM + SHOWN_AT_ONCE)
        await crowd.bucket.until(ROOM)
        # Not one message has got through yet, and the GPU has all its work.
        assert [is_refusal(call) for call, _ in crowd.bucket.waiting] == [False] * ROOM
        for _ in range(ROOM):
            job = await asyncio.wait_for(next_of(crowd.queue), 5)
            crowd.queue.leave(job.id)
        assert len(await crowd.desk.store.jobs_in(JobState.RUNNING, ORIGINS)) == ROOM

        order = []
        for _ in range(ROOM + SHOWN_AT_ONCE):
            await crowd.bucket.until(1)
            order.append(is_refusal(crowd.bucket.let_through()))
        await left(reactions, 0)
        assert order == [False] * ROOM + [True] * SHOWN_AT_ONCE
        assert crowd.bucket.waiting == []


async def test_a_refusal_is_not_told_when_others_wait_for_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused_reactions, "PATIENCE", 0.0)
    async with Crowd.gathered(tmp_path, Limits(size=1)) as crowd:
        accepted = asyncio.create_task(crowd.react(1))
        await crowd.bucket.until(1)
        await crowd.react(2)
        crowd.bucket.let_through()
        await accepted
        assert [is_refusal(call) for call in crowd.desk.world.calls] == [False]


async def test_a_result_waits_for_its_acknowledgement_and_takes_its_place(tmp_path: Path) -> None:
    async with Crowd.gathered(tmp_path, held=0.0) as crowd:
        reacting = asyncio.create_task(crowd.react(2))
        await crowd.bucket.until(1)
        [waiting] = await crowd.desk.store.jobs_in(JobState.PENDING, ORIGINS)
        done = await crowd.desk.painted(waiting.id)
        finishing = asyncio.create_task(crowd.desk.delivery.finished(done))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not finishing.done()
        crowd.bucket.let_through()
        await asyncio.wait_for(asyncio.gather(reacting, finishing), 10)
        assert crowd.desk.world.ways() == ["send", "edit"]
        assert (await crowd.desk.store.job(done.id)).state is JobState.DELIVERED


async def test_a_reaction_that_comes_twice_is_one_request(tmp_path: Path) -> None:
    async with Crowd.gathered(tmp_path) as crowd:
        crowd.desk.world.before = None
        for _ in range(3):
            await crowd.react(2)
        await asyncio.gather(*(crowd.react(3) for _ in range(3)))
        await crowd.cog.on_raw_reaction_add(crowd.event(2, SAME_SEED))
        assert len(await crowd.desk.store.jobs_in(JobState.PENDING, ORIGINS)) == 3
        await crowd.unreact(2)
        await crowd.react(2)
        assert len(await crowd.desk.store.jobs_in(JobState.PENDING, ORIGINS)) == 4


@pytest.mark.parametrize("missing", ["read_messages", "send_messages", "use_application_commands"])
async def test_who_may_not_ask_gets_neither_picture_nor_answer(
    tmp_path: Path, missing: str
) -> None:
    async with Crowd.gathered(tmp_path) as crowd:
        crowd.permissions.update(**{missing: False})
        await crowd.react(2)
        assert crowd.desk.world.calls == []
        assert await crowd.desk.store.jobs_in(JobState.PENDING, ORIGINS) == []
        assert crowd.permissions != discord.Permissions.none()


@pytest.mark.parametrize(
    ("code", "said"), [(200000, "AutoMod"), (50035, "rejected"), (50013, None), (10003, None)]
)
async def test_a_repetition_that_discord_refuses_is_not_dropped_in_silence(
    tmp_path: Path, code: int, said: str | None
) -> None:
    async with Crowd.gathered(tmp_path) as crowd:
        crowd.desk.world.refuse("send", http_error(400, code))
        asking = asyncio.create_task(crowd.react(1))
        await crowd.bucket.until(1)
        crowd.bucket.let_through()
        if said is not None:
            await crowd.bucket.until(1)
            assert said in crowd.bucket.let_through().sent["content"]
        await asyncio.wait_for(asking, 10)
        assert crowd.bucket.waiting == []
