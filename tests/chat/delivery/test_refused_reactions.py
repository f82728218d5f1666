"""How many refusals a person and a channel get, on a clock that the test turns."""

import asyncio
from typing import Any, cast

import discord
import pytest

from bot.chat.delivery.refused_reactions import AGAIN_AFTER, SHOWN, SHOWN_AT_ONCE, Refusals, Told
from bot.chat.delivery.traffic import Traffic
from tests.chat.delivery.discord_fakes import CHANNEL, FakeChannel, World, http_error


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    return Refusals(Traffic(), clock)


async def tell(
    refusals: Refusals, world: World, user_id: int, message_id: int = 5, channel_id: int = CHANNEL
) -> bool:
    channel = cast("discord.PartialMessageable", FakeChannel(world, channel_id))
    return await refusals.tell(channel, Told(user_id, message_id, "No."))


async def test_it_names_and_pings_whom_it_is_for_and_goes_after_a_while(
    refusals: Refusals, world: World
) -> None:
    assert await tell(refusals, world, 7)
    [call] = world.calls
    assert call.sent["content"] == "<@7> No."
    assert [user.id for user in call.sent["allowed_mentions"].users] == [7]


@pytest.mark.parametrize("error", [None, http_error(404, 10008), OSError()])
async def test_it_is_deleted_after_a_while_if_discord_lets_us(
    world: World, error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    go_on = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await go_on.wait()

    caplog.set_level("INFO")
    refusals = Refusals(Traffic(), Clock(), sleep)
    if error is not None:
        world.refuse("delete", error)
    assert await tell(refusals, world, 7)
    deleting = {*refusals._deleting}
    assert world.ways() == ["send"]
    go_on.set()
    await asyncio.gather(*deleting)
    assert (world.ways(), slept) == (["send", "delete"], [SHOWN])
    assert ("stays" in caplog.text) == (error is not None)


async def test_what_was_not_expected_of_a_deletion_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def sleep(_: float) -> None:
        raise RuntimeError("of this test")

    refusals = Refusals(Traffic(), Clock(), sleep)
    assert await tell(refusals, world, 7)
    await asyncio.gather(*refusals._deleting)
    assert "deleting a refusal: failed" in caplog.text


async def test_one_a_person_and_message_in_a_minute(
    refusals: Refusals, world: World, clock: Clock
) -> None:
    assert [await tell(refusals, world, 7) for _ in range(100)].count(True) == 1
    assert await tell(refusals, world, 7, message_id=6)
    clock.now += AGAIN_AFTER
    assert await tell(refusals, world, 7)


async def test_a_channel_gets_few_and_others_are_not_affected(
    refusals: Refusals, world: World, clock: Clock
) -> None:
    told = 0
    for user_id in range(600):  # for ten minutes, one person a second
        told += await tell(refusals, world, user_id)
        clock.now += 1
    assert told == SHOWN_AT_ONCE * 600 / SHOWN
    assert await tell(refusals, world, 1, channel_id=CHANNEL + 1)


async def test_what_the_channel_refuses_is_let_go(refusals: Refusals, world: World) -> None:
    world.refuse("send", http_error(403, 50013))
    assert not await tell(refusals, world, 7)
    broken: Any = KeyError("a bug")
    world.refuse("send", broken)
    with pytest.raises(KeyError):
        await tell(refusals, world, 8)
