"""What keeps the bot's process going, and ends it."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
import yarl

from bot.backoff import Backoff
from bot.chat import client
from bot.chat.client import ImagenBot
from bot.errors import EngineLost, Loss
from bot.process import signals


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


launch_shard = cast("Any", ImagenBot.launch_shard)


class FakeSocket:
    shard_id = 0

    async def poll_event(self) -> None:
        await asyncio.Event().wait()

    async def close(self, code: int) -> None: ...


@pytest.fixture
async def sharded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.AutoShardedClient]:
    monkeypatch.setattr(client, "RETRY_AFTER", Backoff(0))
    async with discord.AutoShardedClient(intents=discord.Intents.none()) as sharded:
        sharded._reconnect = True  # as `connect` sets it
        yield sharded


def answer(monkeypatch: pytest.MonkeyPatch, *refusals: Exception) -> None:
    """What the gateway says to each attempt to connect; in the end it lets them in."""
    waiting = list(refusals)

    async def from_client(*_: object, **__: object) -> FakeSocket:
        if waiting:
            raise waiting.pop()
        return FakeSocket()

    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "from_client", from_client)


class TestTheFirstHandshake:
    async def test_however_often_it_is_refused_it_is_tried_again(
        self,
        sharded: discord.AutoShardedClient,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        answer(monkeypatch, *(OSError("refused") for _ in range(1500)))
        await launch_shard(sharded, yarl.URL("ws://x"), 0)
        assert list(sharded.shards) == [0]
        assert len(caplog.text.splitlines()) == len(caplog.records) == 1500

    async def test_what_is_closed_for_good_is_not(
        self, sharded: discord.AutoShardedClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        socket = cast("Any", SimpleNamespace(close_code=4004))
        answer(monkeypatch, discord.ConnectionClosed(socket, shard_id=0))
        with pytest.raises(discord.ConnectionClosed):
            await launch_shard(sharded, yarl.URL("ws://x"), 0)
