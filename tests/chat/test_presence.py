"""The bot's status: told on every shard, again on each new connection, and only when it changes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import discord
import pytest
import yarl

from bot.backoff import Backoff
from bot.chat import connection, turns
from bot.chat.presence import Presence
from playground import Playground
from tests.chat.test_shards import SHARDS, Running, running

LOOKS = 5


@pytest.fixture
async def pg(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Playground]:
    monkeypatch.setattr(turns, "APART", 0.0)
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(0.01))
    async with Playground(shards=SHARDS) as playground:
        playground.gateway.limits.concurrency = SHARDS
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        gateway = yarl.URL(playground.gateway_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
        yield playground
        assert playground.violations == []


class Said:
    """What the status is to say, and how often it was looked at."""

    def __init__(self) -> None:
        self.text = "idle"
        self.looks = 0

    async def __call__(self) -> str:
        self.looks += 1
        return self.text

    async def looked(self) -> None:
        """Until it was looked at several more times, so that whatever was to be told was."""
        until = self.looks + LOOKS
        while self.looks < until:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def three(pg: Playground) -> AsyncIterator[Running]:
    async with running(pg) as found:
        yield found


@pytest.fixture
async def said(three: Running) -> AsyncIterator[Said]:
    text = Said()
    telling = asyncio.create_task(Presence(three.bot, text, 0.01).run())
    yield text
    telling.cancel()


def texts(pg: Playground) -> dict[int, list[str]]:
    """What was told on each shard, in order."""
    found: dict[int, list[str]] = {}
    for shard, data in pg.gateway.presences:
        [activity] = data["activities"]
        assert (activity["type"], data["status"], data["afk"]) == (4, "online", False)
        found.setdefault(shard, []).append(activity["state"])
    return found


async def told(pg: Playground, expected: dict[int, list[str]]) -> None:
    await pg.wait_for(lambda: texts(pg) == expected, timeout=10)


async def test_each_shard_is_told_once_for_each_change(pg: Playground, said: Said) -> None:
    await told(pg, {shard: ["idle"] for shard in range(SHARDS)})
    await said.looked()
    said.text = "SDXL Base · 3 waiting"
    await told(pg, {shard: ["idle", "SDXL Base · 3 waiting"] for shard in range(SHARDS)})
    await said.looked()
    assert all(len(each) == 2 for each in texts(pg).values())


@pytest.mark.parametrize(
    "lose", [lambda pg: pg.drop_gateway(1), lambda pg: pg.invalidate_session(1)]
)
async def test_a_new_connection_is_told_again_and_no_other(
    pg: Playground, said: Said, lose: Callable[[Playground], Any]
) -> None:
    await told(pg, {shard: ["idle"] for shard in range(SHARDS)})
    lose(pg)
    await told(pg, {0: ["idle"], 1: ["idle", "idle"], 2: ["idle"]})


async def test_what_changed_while_a_shard_was_away_is_told_on_its_return(
    pg: Playground, said: Said, three: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(pg, {shard: ["idle"] for shard in range(SHARDS)})
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(0.2))
    pg.refuse_gateway_next()
    pg.drop_gateway(0)
    await pg.wait_for(lambda: not pg.gateway.refusals, timeout=10)
    said.text = "generating"
    await told(
        pg, {0: ["idle", "generating"], 1: ["idle", "generating"], 2: ["idle", "generating"]}
    )


async def test_a_shard_that_cannot_connect_holds_no_other_back(
    pg: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(3600))
    pg.refuse_gateway_next()
    async with running(pg) as found:
        telling = asyncio.create_task(Presence(found.bot, Said(), 0.01).run())
        await pg.wait_for(lambda: len(texts(pg)) == SHARDS - 1, timeout=10)
        telling.cancel()
