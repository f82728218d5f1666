"""What keeps the bot's process going, and ends it."""

import asyncio
from typing import Any, cast

import pytest

from bot import client, signals
from bot.errors import EngineLost, Loss


class LostConsumer:
    async def lost(self) -> EngineLost:
        return EngineLost(Loss.DEVICE, "the GPU failed")


class TestServingUntilTheEngineIsLost:
    async def test_what_swallows_a_cancellation_is_cancelled_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "CANCEL_AGAIN", 0.0)
        monkeypatch.setattr(client, "at_the_latest", lambda _: None)
        swallowed = 0

        async def serving() -> None:
            nonlocal swallowed
            while swallowed < 3:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    swallowed += 1

        with pytest.raises(EngineLost):
            await client._unless_lost(cast("Any", LostConsumer()), serving(), cast("Any", None))
        assert swallowed == 3

    async def test_what_never_ends_is_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client, "CANCEL_AGAIN", 0.0)
        monkeypatch.setattr(signals, "CLOSE_WITHIN", 0.01)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        async def serving() -> None:
            while not ended.is_set():
                try:
                    await ended.wait()
                except asyncio.CancelledError:
                    continue

        def anew() -> None:
            loop.call_soon_threadsafe(ended.set)

        with pytest.raises(EngineLost):
            await client._unless_lost(cast("Any", LostConsumer()), serving(), cast("Any", anew))
