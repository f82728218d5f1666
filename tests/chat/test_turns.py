"""When a shard may begin a session. Time is a number here that only sleeping moves."""

import asyncio
import logging

import discord
import pytest

from bot.chat import turns
from bot.chat.turns import DAY, Turns


class Time:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def shards(time: Time) -> Turns:
    return Turns(time, time.sleep)


def limits(
    concurrency: int, remaining: int = 1000, minutes: float = 60
) -> discord.SessionStartLimits:
    return discord.SessionStartLimits(
        total=1000,
        remaining=remaining,
        reset_after=round(minutes * 60_000),
        max_concurrency=concurrency,
    )


async def identify(shards: Turns, shard_id: int) -> None:
    async with shards.of(shard_id):
        shards.identified(shard_id)


async def test_the_first_waits_for_nothing(shards: Turns, time: Time) -> None:
    shards.learn(limits(1))
    await identify(shards, 0)
    assert time.slept == []


async def test_one_group_goes_one_by_one(shards: Turns, time: Time) -> None:
    shards.learn(limits(1))
    for shard_id in range(3):
        await identify(shards, shard_id)
    assert time.slept == [turns.APART, turns.APART]


async def test_groups_do_not_wait_for_each_other(shards: Turns, time: Time) -> None:
    """Shards 0 to 3 are one each of four groups; 4 is of the same as 0."""
    shards.learn(limits(4))
    for shard_id in range(4):
        await identify(shards, shard_id)
    assert time.slept == []
    await identify(shards, 4)
    assert time.slept == [turns.APART]


async def test_what_was_long_ago_does_not_count(shards: Turns, time: Time) -> None:
    await identify(shards, 0)
    time.now += 3
    await identify(shards, 0)
    assert time.slept == [turns.APART - 3]
    time.now += 60
    await identify(shards, 0)
    assert len(time.slept) == 1


async def test_only_what_was_sent_counts(shards: Turns, time: Time) -> None:
    """A connection that is refused before IDENTIFY uses up nothing."""
    shards.learn(limits(1, remaining=1))
    for _ in range(5):
        async with shards.of(0):
            pass
    await identify(shards, 0)
    assert time.slept == []


async def test_a_turn_lasts_until_the_shard_has_identified(shards: Turns) -> None:
    async with shards.of(0):
        second = asyncio.create_task(identify(shards, 1))
        await asyncio.sleep(0)
        assert not second.done()
        shards.identified(0)
    await second


async def test_groups_share_what_a_day_allows(shards: Turns, time: Time) -> None:
    """Those that are about to identify count as well."""
    shards.learn(limits(2, remaining=1, minutes=90))
    async with shards.of(0):
        await identify(shards, 1)
        shards.identified(0)
    assert time.slept == [90 * 60]


async def test_more_than_a_day_allows_wait_for_the_next(
    shards: Turns, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    shards.learn(limits(16, remaining=2, minutes=90))
    with caplog.at_level(logging.CRITICAL):
        for shard_id in range(3):
            await identify(shards, shard_id)
    assert time.slept == [90 * 60]
    assert "1000 of 1000 are used" in caplog.text
    for shard_id in range(999):
        await identify(shards, 16 + shard_id % 16)
        time.now += turns.APART
    before = time.now
    await identify(shards, 0)
    assert time.now == pytest.approx(max(before, 1000 + 90 * 60 + DAY))
