"""The pacer, with a clock that only the test advances."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.delivery.pacing import Pacer
from bot.progress import Progress, Stage


class Clock:
    """Sleepers wake when the test advances the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def move(self, seconds: float) -> None:
        await settle()
        self.now += seconds
        for at, woken in self._sleepers:
            if at <= self.now:
                woken.set()
        self._sleepers = [one for one in self._sleepers if not one[1].is_set()]
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def step(number: int) -> Progress:
    return Progress(Stage.PAINTING, step=number, steps=100)


class Edits:
    def __init__(self, clock: Clock) -> None:
        self.shown: list[tuple[float, int]] = []
        self._clock = clock
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    async def __call__(self, progress: Progress) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.shown.append((self._clock.now, progress.step))


async def test_the_first_edit_waits_for_the_interval() -> None:
    clock = Clock()
    edits = Edits(clock)
    pacer = Pacer(edits, 2.0, clock.sleep)
    pacer.show(step(1))
    await clock.move(1.9)
    assert edits.shown == []
    await clock.move(0.1)
    assert edits.shown == [(2.0, 1)]
    await pacer.close()


async def test_the_last_report_wins_and_the_others_are_dropped() -> None:
    clock = Clock()
    edits = Edits(clock)
    pacer = Pacer(edits, 2.0, clock.sleep)
    for number in range(1, 6):
        pacer.show(step(number))
        await clock.move(0.5)
    assert [number for _, number in edits.shown] == [4]
    await clock.move(2.0)
    assert [number for _, number in edits.shown] == [4, 5]
    await clock.move(10)
    assert len(edits.shown) == 2
    await pacer.close()


@settings(max_examples=30, deadline=None)
@given(pauses=st.lists(st.sampled_from([0.0, 0.25, 1.0, 2.0, 5.0]), min_size=1, max_size=25))
def test_never_more_than_one_edit_in_an_interval(pauses: list[float]) -> None:
    async def scene() -> None:
        clock = Clock()
        edits = Edits(clock)
        pacer = Pacer(edits, 2.0, clock.sleep)
        await settle()
        for number, pause in enumerate(pauses):
            pacer.show(step(number))
            await clock.move(pause)
        for _ in range(3):
            await clock.move(2.0)
        times = [at for at, _ in edits.shown]
        assert all(later - earlier >= 2.0 for earlier, later in pairwise(times))
        numbers = [number for _, number in edits.shown]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == len(pauses) - 1, "the last report was not shown"
        await pacer.close()

    asyncio.run(scene())


async def test_nothing_is_shown_after_close() -> None:
    clock = Clock()
    edits = Edits(clock)
    pacer = Pacer(edits, 2.0, clock.sleep)
    pacer.show(step(1))
    await clock.move(2.0)
    pacer.show(step(2))
    await pacer.close()
    for number in range(3, 8):
        pacer.show(step(number))
        await clock.move(10.0)
    assert [number for _, number in edits.shown] == [1]


async def test_close_waits_for_an_edit_on_its_way() -> None:
    clock = Clock()
    edits = Edits(clock)
    edits.gate = asyncio.Event()
    pacer = Pacer(edits, 2.0, clock.sleep)
    pacer.show(step(1))
    await clock.move(2.0)
    closing = asyncio.create_task(pacer.close())
    await settle()
    assert not closing.done()
    edits.gate.set()
    await closing
    assert [number for _, number in edits.shown] == [1]


async def test_close_waits_for_no_turn_and_leaves_it_to_others() -> None:
    clock = Clock()
    edits = Edits(clock)
    turns = asyncio.Semaphore(1)
    waiting, other = (Pacer(edits, 2.0, clock.sleep, lambda _: turns) for _ in range(2))
    await turns.acquire()
    waiting.show(step(1))
    other.show(step(2))
    await clock.move(2.0)
    closing = asyncio.create_task(waiting.close())
    await settle()
    assert closing.done()
    turns.release()
    await settle()
    assert [number for _, number in edits.shown] == [2]
    await other.close()


async def test_what_has_waited_for_its_turn_is_not_out_of_date() -> None:
    clock = Clock()
    edits = Edits(clock)
    turns = asyncio.Semaphore(1)
    pacer = Pacer(edits, 2.0, clock.sleep, lambda _: turns)
    await turns.acquire()
    pacer.show(step(1))
    await clock.move(2.0)
    pacer.show(step(2))
    turns.release()
    await settle()
    assert [number for _, number in edits.shown] == [2]
    await pacer.close()


async def test_closing_what_never_began() -> None:
    clock = Clock()
    await Pacer(Edits(clock), 2.0, clock.sleep).close()


async def test_an_edit_that_raises_is_logged_and_does_not_end_the_following_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    edits = Edits(clock)
    pacer = Pacer(edits, 2.0, clock.sleep)
    edits.error = RuntimeError("an edit of this test")
    pacer.show(step(1))
    await clock.move(2.0)
    assert "keeping a message up to date: failed" in caplog.text
    edits.error = None
    pacer.show(step(2))
    await clock.move(2.0)
    assert [number for _, number in edits.shown] == [2]
    await pacer.close()
