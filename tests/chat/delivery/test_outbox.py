"""The outbox: in order within a channel, and no channel waits for another."""

import asyncio
from functools import partial

import pytest

from bot.backoff import Backoff
from bot.chat.delivery import outbox as outbox_module
from bot.chat.delivery.outbox import TURN, Away, Outbox
from bot.errors import StoreError


class Discord:
    """Delivers what it is given, except for the next `away` attempts."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.taken: list[str] = []
        self.tries: list[str] = []

    async def take(self, name: str) -> str:
        self.tries.append(name)
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise Away("503")
        self.taken.append(name)
        return name


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which the test does not wait for."""
    waited: list[float] = []

    async def wait(self: Outbox, seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(Outbox, "_wait", wait)
    return waited


async def carry_all(discord: Discord, *names: tuple[int, str]) -> None:
    outbox = Outbox()
    await asyncio.gather(
        *(outbox.carry(lane, name, lambda name=name: discord.take(name)) for lane, name in names)  # type: ignore[misc]
    )


async def test_what_entered_first_leaves_first(waits: list[float]) -> None:
    discord = Discord(away=5)
    await carry_all(discord, *((1, name) for name in "abcd"))
    assert discord.taken == list("abcd")
    assert discord.tries[:6] == ["a"] * 6
    assert waits == [2, 10, 30, 60, 60]


async def test_no_channel_waits_for_another(waits: list[float]) -> None:
    discord = Discord()

    async def stuck() -> None:
        raise Away("503")

    outbox = Outbox()
    waiting = asyncio.create_task(outbox.carry(1, "stuck", stuck))
    assert await outbox.carry(2, "b", lambda: discord.take("b")) == "b"
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_one_that_discord_chokes_on_lets_the_others_pass(waits: list[float]) -> None:
    discord, outbox, tries = Discord(), Outbox(), 0

    async def poison() -> None:
        nonlocal tries
        tries += 1
        raise Away("500")

    choking = asyncio.create_task(outbox.carry(1, "poison", poison))
    await asyncio.sleep(0)
    assert await outbox.carry(1, "b", lambda: discord.take("b")) == "b"
    assert tries >= TURN
    choking.cancel()
    await asyncio.wait([choking])


async def test_it_is_tried_once_more_and_then_after_all_others(waits: list[float]) -> None:
    tries: list[tuple[str, int]] = []
    outbox = Outbox()

    async def attempt(name: str) -> None:
        tries.append((name, len(waits)))
        await asyncio.sleep(0)
        if name == "poison":
            raise Away("500")

    names = ("poison", *"bcd")
    poison, *others = [
        asyncio.create_task(outbox.carry(1, name, partial(attempt, name))) for name in names
    ]
    await asyncio.gather(*others)
    before = [("poison", n) for n in range(TURN)]
    then = [(name, TURN - 1) for name in ("b", "poison", "c", "d")]
    assert tries[: TURN + 4] == before + then
    # Alone in the line it waits before every attempt again.
    for _ in range(50):
        await asyncio.sleep(0)
    later = [waited for _, waited in tries[TURN + 4 :]]
    assert len(later) > 2
    assert later == [*range(later[0], later[0] + len(later))]
    poison.cancel()
    await asyncio.wait([poison])


async def test_one_that_leaves_the_line_takes_no_turn_of_another(waits: list[float]) -> None:
    outbox, trying, going_on = Outbox(), asyncio.Event(), asyncio.Event()
    tries: list[str] = []

    async def attempt(name: str) -> None:
        tries.append(name)
        if name == "second":
            trying.set()
            await going_on.wait()
        raise Away("500")

    names = ("first", "second", "third")
    first, second, third = [
        asyncio.create_task(outbox.carry(1, name, partial(attempt, name))) for name in names
    ]
    await trying.wait()
    third.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert tries[-1] == "second"
    going_on.set()
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second, third])


async def test_after_a_long_absence_everything_leaves_in_order(waits: list[float]) -> None:
    discord = Discord(away=10 * TURN + 1)
    await carry_all(discord, *((1, name) for name in "abcd"))
    assert discord.taken == list("abcd")
    assert "b" in discord.tries[:-4]


async def test_one_that_was_tried_just_when_discord_came_back_is_the_only_one_ahead(
    waits: list[float],
) -> None:
    discord = Discord(away=TURN)
    await carry_all(discord, *((1, name) for name in "abcd"))
    assert discord.taken == list("bacd")


async def test_one_that_is_tried_out_goes_on_when_the_first_is_given_up(
    waits: list[float],
) -> None:
    outbox, trying, tries = Outbox(), asyncio.Event(), 0

    async def stuck() -> None:
        raise Away("503")

    async def second() -> str:
        nonlocal tries
        tries += 1
        trying.set()
        await asyncio.sleep(0.01)
        if tries == 1:
            raise Away("503")
        return "taken"

    first = asyncio.create_task(outbox.carry(1, "stuck", stuck))
    await asyncio.sleep(0)
    behind = asyncio.create_task(outbox.carry(1, "b", second))
    await trying.wait()
    first.cancel()
    assert await behind == "taken"
    assert len(outbox) == 0


async def test_a_store_that_cannot_be_read_is_waited_for(waits: list[float]) -> None:
    failures = [StoreError("locked"), StoreError("locked")]

    async def attempt() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await Outbox().carry(1, "a", attempt) == "done"
    assert len(waits) == 2


async def test_other_faults_are_raised_and_free_the_lane(waits: list[float]) -> None:
    outbox, discord = Outbox(), Discord()

    async def wrong() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await outbox.carry(1, "a", wrong)
    assert await outbox.carry(1, "b", lambda: discord.take("b")) == "b"


async def test_when_discord_is_back_nobody_waits_any_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "RETRY_AFTER", Backoff(3600))
    outbox, discord = Outbox(), Discord(away=1)
    carrying = asyncio.create_task(outbox.carry(1, "a", lambda: discord.take("a")))
    while discord.away:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    while not carrying.done():
        outbox.back()
        await asyncio.sleep(0)
    assert discord.taken == ["a"]
