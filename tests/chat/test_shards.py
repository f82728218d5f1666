"""Several connections to Discord, each kept on its own, against the playground's gateway."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
import yarl
from discord.ext import commands

from bot.backoff import Backoff
from bot.chat import connection, shards, turns
from bot.chat.connection import connected, refused_for_good
from bot.chat.shards import TURN, ShardedBot
from bot.chat.turns import Turns
from bot.errors import Outgrown, SettingsError
from playground import Guild, Playground

SHARDS = 3


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "APART", 0.0)
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(0.01))


@pytest.fixture
async def pg(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Playground]:
    async with Playground(shards=SHARDS) as playground:
        playground.gateway.limits.concurrency = SHARDS
        monkeypatch.setattr(discord.http.Route, "BASE", playground.api_url)
        gateway = yarl.URL(playground.gateway_url)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
        yield playground
        assert playground.violations == []


@pytest.fixture
def guilds(pg: Playground) -> dict[int, Guild]:
    """A guild of each shard, by its number."""
    found = {(pg.guild.id >> 22) % SHARDS: pg.guild}
    while len(found) < SHARDS:
        guild = pg.add_guild("another")
        found.setdefault((guild.id >> 22) % SHARDS, guild)
    return found


class Running:
    """A bot that connects; `connecting` is its task."""

    def __init__(self, bot: ShardedBot, connecting: asyncio.Task[None]) -> None:
        self.bot = bot
        self.connecting = connecting

    def sockets(self) -> dict[int, Any]:
        held = vars(self.bot)["_AutoShardedClient__shards"]
        return {number: shard.ws for number, shard in held.items()}


@contextlib.asynccontextmanager
async def running(pg: Playground) -> AsyncIterator[Running]:
    bot = ShardedBot(
        commands.when_mentioned, intents=discord.Intents(guilds=True), guild_ready_timeout=0.05
    )
    async with bot:
        await bot.login(pg.token)
        connecting = asyncio.create_task(bot.connect())
        yield Running(bot, connecting)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)


@pytest.fixture
async def three(pg: Playground, guilds: dict[int, Guild]) -> AsyncIterator[Running]:
    async with running(pg) as found:
        await asyncio.wait_for(found.bot.complete.wait(), 10)
        yield found


async def resumed(pg: Playground, count: int) -> None:
    await pg.wait_for(lambda: pg.gateway_resumes == count and pg.online, timeout=10)


async def until_up(bot: ShardedBot) -> None:
    async with asyncio.timeout(10):
        while None in bot.heartbeats.values():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_each_shard_has_its_servers(three: Running, guilds: dict[int, Guild]) -> None:
    bot = three.bot
    assert sorted(bot.heartbeats) == [0, 1, 2]
    assert None not in bot.heartbeats.values()
    assert bot.knows_its_servers
    for number, guild in guilds.items():
        found = bot.get_guild(guild.id)
        assert found is not None
        assert found.shard_id == number


async def test_only_the_lost_one_resumes(pg: Playground, three: Running) -> None:
    before = three.sockets()
    pg.drop_gateway(1)
    await resumed(pg, 1)
    await until_up(three.bot)
    after = three.sockets()
    assert pg.gateway_identifies == SHARDS
    assert [number for number in after if after[number] is not before[number]] == [1]


async def test_only_the_invalid_one_begins_anew(pg: Playground, three: Running) -> None:
    before = three.sockets()
    pg.invalidate_session(2)
    await pg.wait_for(lambda: pg.gateway_identifies == SHARDS + 1 and pg.online, timeout=10)
    await until_up(three.bot)
    after = three.sockets()
    assert pg.gateway_resumes == 0
    assert [number for number in after if after[number] is not before[number]] == [2]


async def test_one_that_cannot_come_back_holds_no_other_up(
    pg: Playground, three: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(3600))
    pg.refuse_gateway_next()
    pg.drop_gateway(0)
    await pg.wait_for(lambda: not pg.gateway.refusals, timeout=10)
    assert [n for n, beat in three.bot.heartbeats.items() if beat is None] == [0]
    pg.drop_gateway(1)
    await pg.wait_for(lambda: pg.gateway_resumes == 1, timeout=10)
    assert not pg.online
    assert three.bot.knows_its_servers  # it has been connected before


async def test_a_session_outlives_a_failed_attempt(pg: Playground, three: Running) -> None:
    pg.refuse_gateway_next(connection.RESUMES - 1)
    pg.drop_gateway(1)
    await resumed(pg, 1)
    assert pg.gateway_identifies == SHARDS


async def test_a_session_that_cannot_be_reached_is_given_up(pg: Playground, three: Running) -> None:
    pg.refuse_gateway_next(connection.RESUMES)
    pg.drop_gateway(1)
    await pg.wait_for(lambda: pg.gateway_identifies == SHARDS + 1 and pg.online, timeout=10)
    assert pg.gateway_resumes == 0


async def test_a_connection_that_discord_does_not_answer_is_none(
    pg: Playground, three: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket is open, but nothing will ever come."""
    asked = asyncio.Event()
    monkeypatch.setattr(pg.gateway, "_resume", lambda *_: asked.set())
    pg.drop_gateway(1)
    await asyncio.wait_for(asked.wait(), 10)
    assert not three.bot.shards[1].is_closed()
    assert three.bot.heartbeats[1] is None


async def test_people_can_ask_before_the_last_shard_is_there(
    pg: Playground, guilds: dict[int, Guild], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(3600))
    pg.refuse_gateway_next()
    async with running(pg) as found:
        await asyncio.wait_for(found.bot.online.wait(), 10)
        assert not found.bot.knows_its_servers
        assert not found.bot.complete.is_set()
        assert list(found.bot.heartbeats.values()).count(None) >= 1


async def test_shards_of_one_group_wait_for_their_turn(
    pg: Playground, guilds: dict[int, Guild], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The playground reports who identifies too soon."""
    monkeypatch.setattr(turns, "APART", 0.2)
    pg.gateway.limits.concurrency, pg.gateway.limits.window = 2, 0.15
    async with running(pg) as found:
        await asyncio.wait_for(found.bot.complete.wait(), 10)


async def test_what_a_day_does_not_allow_waits_for_the_next(
    pg: Playground, guilds: dict[int, Guild], caplog: pytest.LogCaptureFixture
) -> None:
    """The playground reports who begins more."""
    pg.gateway.limits.remaining = SHARDS - 1
    pg.gateway.limits.reset_in(0.5)
    async with running(pg) as found:
        await asyncio.wait_for(found.bot.complete.wait(), 10)
    assert "allows no more new sessions today" in caplog.text


async def test_a_bot_of_one_shard_begins_one_session(pg: Playground) -> None:
    pg.gateway.limits.shards = 1
    async with running(pg) as found:
        await asyncio.wait_for(found.bot.complete.wait(), 10)
        assert [session.shard for session in pg.gateway.sessions.values()] == [(0, 1)]
        assert list(found.bot.heartbeats) == [0]
    assert [r.path for r in pg.requests if "gateway" in r.path] == ["/gateway/bot"]


async def test_too_few_shards_for_good(pg: Playground, three: Running) -> None:
    pg.require_shards(4)
    pg.invalidate_session(0)
    with pytest.raises(discord.ConnectionClosed) as closed:
        await asyncio.wait_for(three.connecting, 10)
    assert isinstance(refused_for_good(closed.value), Outgrown)


async def test_a_refused_token_is_no_lack_of_shards(pg: Playground, three: Running) -> None:
    pg.gateway.revoke_token()
    with pytest.raises(discord.ConnectionClosed) as closed:
        await asyncio.wait_for(three.connecting, 10)
    assert isinstance(refused_for_good(closed.value), SettingsError)


async def test_a_closed_bot_stops_connecting(three: Running) -> None:
    await three.bot.close()
    await asyncio.wait_for(three.connecting, 10)


async def test_garbage_is_not_looked_for_among_many_servers(
    pg: Playground, guilds: dict[int, Guild], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they are read anew, when the old ones are garbage themselves."""
    gc.unfreeze()
    monkeypatch.setattr(shards, "MANY", len(guilds) - 1)
    try:
        async with running(pg) as found:
            await asyncio.wait_for(found.bot.complete.wait(), 10)
            assert gc.get_freeze_count() > 0
            pg.drop_gateway(1)
            await resumed(pg, 1)
            assert gc.get_freeze_count() > 0
            pg.invalidate_session(1)
            await pg.wait_for(lambda: pg.gateway_identifies == SHARDS + 1 and pg.online, timeout=10)
            await until_up(found.bot)
            assert gc.get_freeze_count() == 0
    finally:
        gc.unfreeze()


async def test_many_events_at_once_keep_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of all servers at the start: the connection has the next one each time it is asked."""
    read = 0

    async def poll_event() -> None:
        nonlocal read
        read += 1
        if read == 100:
            raise discord.gateway.ReconnectWebSocket(0)
        time.sleep(TURN / 4)  # noqa: ASYNC251 – as parsing it does

    async def others() -> int:
        return read

    async with ShardedBot(commands.when_mentioned, intents=discord.Intents.none()) as bot:
        turn = asyncio.create_task(others())
        shard = cast("Any", SimpleNamespace(ws=SimpleNamespace(poll_event=poll_event)))
        await bot._read(shard)
        assert read == 100
        assert await turn < 100


class FakeSocket:
    shard_id = 0


class TestTheFirstHandshake:
    """However often it is refused, it is tried again."""

    def refuse(self, monkeypatch: pytest.MonkeyPatch, *refusals: Exception) -> None:
        waiting = list(refusals)

        async def from_client(*_: object, **__: object) -> FakeSocket:
            if waiting:
                raise waiting.pop()
            return FakeSocket()

        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "from_client", from_client)

    async def test_each_refusal_is_one_line_of_the_log(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(connection, "RETRY_AFTER", Backoff(0))
        self.refuse(monkeypatch, *(OSError("refused") for _ in range(1500)))
        client = cast("Any", SimpleNamespace(shard_connect_timeout=None))
        found = await connected(client, Turns(), 0, yarl.URL("ws://x"))
        assert cast("object", found).__class__ is FakeSocket
        assert len(caplog.text.splitlines()) == len(caplog.records) == 1500

    async def test_what_is_closed_for_good_is_not_tried_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        socket = cast("Any", SimpleNamespace(close_code=4004))
        self.refuse(monkeypatch, discord.ConnectionClosed(socket, shard_id=0))
        client = cast("Any", SimpleNamespace(shard_connect_timeout=None))
        with pytest.raises(discord.ConnectionClosed):
            await connected(client, Turns(), 0, yarl.URL("ws://x"))
