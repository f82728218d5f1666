"""The playground, and a real discord.py bot logged in to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import discord
import pytest
import pytest_asyncio
import yarl

from playground import Playground, User
from tests.playground.inline_bot import Bot

Start = Callable[..., Awaitable[Bot]]


@pytest_asyncio.fixture
async def pg(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Playground]:
    async with Playground() as playground:
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        monkeypatch.setattr(
            discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(playground.gateway_url)
        )
        yield playground


@pytest_asyncio.fixture
async def start(pg: Playground) -> AsyncIterator[Start]:
    """Starts a bot and waits until it is ready; closes all of them at the end."""
    running: list[tuple[Bot, asyncio.Task[None]]] = []

    async def begin(bot: Bot | None = None) -> Bot:
        bot = bot or Bot()
        task = asyncio.create_task(bot.start(pg.token))
        running.append((bot, task))
        ready = asyncio.create_task(asyncio.wait_for(bot.online.wait(), timeout=20))
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            ready.cancel()
            task.result()
        return bot

    yield begin
    for bot, task in running:
        await bot.close()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


@pytest_asyncio.fixture
async def bot(start: Start) -> Bot:
    return await start()


@pytest.fixture
def ada(pg: Playground) -> User:
    return pg.user("ada")
