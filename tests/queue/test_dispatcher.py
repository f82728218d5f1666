"""Who is given the next job, and when."""

import asyncio
from collections.abc import Sequence

import pytest

from bot.queue.dispatcher import Dispatcher
from bot.queue.lanes import Lane
from bot.queue.policy import Next
from tests.queue.waiting import asked


async def test_a_choice_that_fails_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.queue.dispatcher.PAUSE", 0.01)
    choice = Next(asked("a"))
    tries = 0

    def choose(free: Sequence[Lane]) -> Next | None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("a fault")
        return choice

    with Dispatcher(choose).offered(Lane()) as given:
        assert await asyncio.wait_for(given, 20) is choice
    assert tries == 3
    assert caplog.text.count("could not be chosen") == 2
