"""The first connection to Discord, no matter how many times it is refused."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
import yarl

from bot.backoff import Backoff
from bot.chat import connection
from bot.chat.client import ImagenBot

launch_shard = cast("Any", ImagenBot.launch_shard)


class FakeSocket:
    shard_id = 0

    async def poll_event(self) -> None:
        await asyncio.Event().wait()

    async def close(self, code: int) -> None: ...


@pytest.fixture
async def sharded(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[discord.AutoShardedClient]:
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(0))
    async with discord.AutoShardedClient(intents=discord.Intents.none()) as sharded:
        sharded._reconnect = True  # as `connect` sets it
        yield sharded


def answer(monkeypatch: pytest.MonkeyPatch, *refusals: Exception) -> None:
    """The gateway's response to each attempt to connect; in the end it accepts."""
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
