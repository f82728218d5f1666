"""Lost connections, lost sessions, rate limits and failures, handled by the real discord.py."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiohttp
import discord
import pytest
import pytest_asyncio

from playground import Playground, User
from playground.gateway import PRIVILEGED
from tests.playground.inline_bot import Bot

Start = Callable[..., Awaitable[Bot]]
Json = dict[str, object]


@pytest.fixture(autouse=True)
def _clean(pg: Playground) -> Iterator[None]:
    yield
    assert pg.violations == []


async def test_resume_replays_what_was_missed(pg: Playground, bot: Bot, ada: User) -> None:
    message = await (await ada.slash("panel")).wait()
    pg.drop_gateway()
    assert not pg.online
    # The bot is offline now; the click is answered after the resume, from the replay.
    call = await ada.click(message, "again")
    assert call.message is message
    assert pg.gateway_resumes == 1
    assert pg.gateway_identifies == 1
    await asyncio.wait_for(bot.resumed.wait(), 5)
    assert [m.content for m in bot.all("message")].count("panel") == 1


async def test_reconnect_on_request(pg: Playground, bot: Bot, ada: User) -> None:
    pg.request_reconnect()
    await pg.wait_for(lambda: pg.gateway_resumes == 1 and pg.online, timeout=10)
    assert (await ada.slash("panel")).message is not None
    assert pg.gateway_identifies == 1


async def test_invalid_session_identifies_anew(pg: Playground, bot: Bot, ada: User) -> None:
    pg.invalidate_session()
    await pg.wait_for(lambda: pg.gateway_identifies == 2 and pg.online, timeout=10)
    assert pg.gateway_resumes == 0
    assert (await ada.slash("panel")).message is not None


async def test_resume_of_an_unknown_session_identifies(pg: Playground, bot: Bot) -> None:
    pg.gateway.sessions.clear()
    pg.drop_gateway()
    await pg.wait_for(lambda: pg.gateway_identifies == 2 and pg.online, timeout=10)
    assert pg.gateway_resumes == 0


async def test_state_outlives_the_bot(pg: Playground, start: Start, ada: User) -> None:
    first = await start()
    message = await (await ada.slash("panel")).wait()
    await first.close()
    await pg.wait_offline()
    await start()
    call = await ada.click(message, "Flip")
    assert call.message is message
    assert message.content == "flipped"


async def test_privileged_intents_must_be_switched_on(pg: Playground, start: Start) -> None:
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await start(Bot(intents))
    assert "4014" in pg.violations.pop()
    pg.gateway.allowed_privileged = PRIVILEGED
    bot = await start(Bot(intents))
    await pg.user("ada").say(pg.channel, "open words")
    assert (await bot.first("message")).content == "open words"


async def test_intents_filter(pg: Playground, start: Start, ada: User) -> None:
    bot = await start(Bot(discord.Intents(guilds=True, guild_reactions=True)))
    said = await ada.say(pg.channel, "unheard")
    await ada.react(said, "🦊")
    await bot.first("react")
    assert bot.all("message") == []
    deaf = await start(Bot(discord.Intents(guilds=True, guild_messages=True)))
    await ada.unreact(said, "🦊")
    await ada.react(said, "🦊")
    await ada.say(pg.channel, "heard")
    await deaf.first("message")
    assert deaf.all("react") == []


async def test_members_are_chunked(pg: Playground, start: Start, ada: User) -> None:
    pg.gateway.allowed_privileged = PRIVILEGED
    bot = await start(Bot(discord.Intents(guilds=True, members=True)))
    names = {m.name for m in bot.guilds[0].members}
    assert names == {"ada", "owner", pg.bot.name}
    (found,) = await bot.guilds[0].query_members("ad")
    assert found.id == ada.id


async def test_two_shards(pg: Playground, start: Start, ada: User) -> None:
    pg.gateway.limits.shards = 2
    guilds = [pg.guild]
    while len({(guild.id >> 22) % 2 for guild in guilds}) < 2:
        guilds.append(pg.add_guild("more"))
    channels = [pg.add_channel("here", guild) for guild in guilds]
    bot = await start()
    assert pg.gateway_identifies == 2
    assert pg.online
    assert {s.shard for s in pg.gateway.sessions.values()} == {(0, 2), (1, 2)}
    for session in pg.gateway.sessions.values():
        told = [int(e["d"]["id"]) for e in session.events if e["t"] == "GUILD_CREATE"]
        assert told == [g.id for g in guilds if (g.id >> 22) % 2 == session.shard[0]]
    assert {g.id: g.shard_id for g in bot.guilds} == {g.id: (g.id >> 22) % 2 for g in guilds}
    for channel in channels:
        assert (await ada.slash("panel", channel=channel)).message is not None


async def test_429_is_honoured(pg: Playground, bot: Bot) -> None:
    channel = bot.get_partial_messageable(pg.channel.id)
    for scope in ("user", "shared", "global"):
        pg.rate_limit_next("POST", r"/messages$", retry_after=0.01, scope=scope)
        await channel.send(scope)
    statuses = [r.status for r in pg.requests if r.path.endswith("/messages")]
    assert statuses == [429, 200, 429, 200, 429, 200]


async def test_429_on_the_original_response(pg: Playground, bot: Bot, ada: User) -> None:
    call = await ada.slash("paint", prompt="fox")
    pg.rate_limit_next("PATCH", r"@original$", retry_after=0.01, times=2)
    bot.gate.set()
    await call.wait(timeout=5)
    assert [r.status for r in pg.requests if r.path.endswith("@original")] == [429, 429, 200]


async def test_a_real_bucket(pg: Playground, bot: Bot) -> None:
    pg.set_bucket("POST", r"/messages$", limit=2, window=0.05)
    channel = bot.get_partial_messageable(pg.channel.id)
    await asyncio.gather(*(channel.send(str(n)) for n in range(5)))
    # discord.py reads the headers and waits in time, so nothing is refused.
    assert [r.status for r in pg.requests if r.path.endswith("/messages")] == [200] * 5


async def test_an_empty_bucket_refuses(pg: Playground) -> None:
    pg.set_bucket("GET", r"/users/@me$", limit=1, window=60)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {pg.token}"}) as session:
        async with session.get(pg.api_url + "/users/@me") as response:
            assert response.status == 200
            assert response.headers["X-RateLimit-Remaining"] == "0"
        async with session.get(pg.api_url + "/users/@me") as response:
            assert response.status == 429
            assert response.headers["Via"]
            assert (await response.json())["retry_after"] > 0
    assert "429" in pg.violations.pop()


async def test_failures_on_request(pg: Playground, bot: Bot) -> None:
    channel = bot.get_partial_messageable(pg.channel.id)
    pg.fail_next("POST", r"/messages$", 403, 50013, "Missing Permissions")
    with pytest.raises(discord.Forbidden) as refused:
        await channel.send("x")
    assert refused.value.code == 50013
    pg.fail_next("*", r"/messages$", 503)
    with pytest.raises(discord.DiscordServerError):
        await channel.send("x")
    await channel.send("fine again")
    (recorded,) = [r for r in pg.requests if r.status == 403]
    assert (recorded.method, recorded.body["content"]) == ("POST", "x")
    assert await pg.wait_request("POST", "/messages") is recorded


async def test_what_it_does_not_know_is_said(pg: Playground, bot: Bot) -> None:
    with pytest.raises(discord.NotFound):
        await bot.fetch_premium_sticker_packs()
    assert "does not know this route" in pg.violations.pop()


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/users/@me"), ("HEAD", "/users/@me"), ("GET", "/users/@me/x"), ("GET", "/gateway/")],
)
async def test_neither_another_method_nor_a_longer_path_is_answered(
    pg: Playground, method: str, path: str
) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {pg.token}"}) as session:
        assert (await session.get(f"{pg.api_url}/users/@me")).status == 200
        assert pg.violations == []
        assert (await session.request(method, pg.api_url + path)).status == 404
    assert pg.violations.pop() == f"{method} {path}: the playground does not know this route"


class Raw:
    """A hand-written gateway client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def identify(self, token: str, **more: object) -> None:
        data: Json = {"token": token, "intents": 1, "properties": {}} | more
        await self.socket.send_json({"op": 2, "d": data})

    async def until_close(self) -> int | None:
        async with asyncio.timeout(5):
            async for _ in self.socket:
                pass
        return self.socket.close_code


@pytest_asyncio.fixture
async def raw(pg: Playground) -> AsyncIterator[Raw]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(pg.gateway_url) as socket,
    ):
        hello = await socket.receive_json()
        assert hello["op"] == 10
        assert hello["d"]["heartbeat_interval"] > 0
        yield Raw(socket)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"token": "wrong"}, 4004),
        ({"shard": [2, 2]}, 4010),
        ({"intents": 1 << 30}, 4013),
        ({"intents": 1 << 15}, 4014),
    ],
)
async def test_close_codes_of_identify(pg: Playground, raw: Raw, more: Json, code: int) -> None:
    await raw.identify(**({"token": pg.token} | more))  # type: ignore[arg-type]
    assert await raw.until_close() == code
    assert str(code) in pg.violations.pop()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", 4002),
        ('{"op": 1, "d": "' + "x" * 4096 + '"}', 4002),
        ('{"op": 3, "d": {}}', 4003),
    ],
)
async def test_close_codes_before_identify(pg: Playground, raw: Raw, text: str, code: int) -> None:
    await raw.socket.send_str(text)
    assert await raw.until_close() == code
    assert str(code) in pg.violations.pop()


@pytest.mark.parametrize(("op", "code"), [(2, 4005), (99, 4001)])
async def test_close_codes_after_identify(pg: Playground, raw: Raw, op: int, code: int) -> None:
    await raw.identify(pg.token)
    await raw.socket.send_json({"op": op, "d": {"token": pg.token, "intents": 1}})
    assert await raw.until_close() == code
    assert str(code) in pg.violations.pop()


async def test_too_many_sends(pg: Playground, raw: Raw) -> None:
    await raw.identify(pg.token)
    for _ in range(120):
        await raw.socket.send_json({"op": 1, "d": None})
    assert await raw.until_close() == 4008
    assert "4008" in pg.violations.pop()


async def test_ready_guild_and_heartbeat_in_plain_json(pg: Playground, raw: Raw) -> None:
    await raw.identify(pg.token)
    ready, guild = await raw.socket.receive_json(), await raw.socket.receive_json()
    assert (ready["t"], ready["s"], guild["t"], guild["s"]) == ("READY", 1, "GUILD_CREATE", 2)
    assert ready["d"]["guilds"] == [{"id": str(pg.guild.id), "unavailable": True}]
    assert ready["d"]["resume_gateway_url"] == pg.gateway_url
    await raw.socket.send_json({"op": 1, "d": 2})
    assert (await raw.socket.receive_json())["op"] == 11
    pg.gateway.answer_heartbeats = False
    await raw.socket.send_json({"op": 1, "d": 2})
    await raw.socket.send_json({"op": 3, "d": {"status": "idle"}})
    await pg.wait_for(lambda: pg.gateway.presence or pg.gateway.heartbeats == 2, timeout=5)


async def test_a_heartbeat_after_its_time_is_noted(pg: Playground, raw: Raw) -> None:
    await raw.identify(pg.token)
    for count, due_in in enumerate((41_250, 0, 41_250), start=1):
        pg.gateway.heartbeat_interval_ms = due_in
        await asyncio.sleep(0.05)  # longer than the tick of a coarse clock
        await raw.socket.send_json({"op": 1, "d": None})
        await pg.wait_for(lambda: pg.gateway.heartbeats == count, timeout=5)  # noqa: B023
    assert [late > 0 for late in pg.gateway.heartbeats_late] == [False, False, True]


async def test_resume_from_the_future_is_refused(pg: Playground, raw: Raw) -> None:
    await raw.identify(pg.token)
    ready = await raw.socket.receive_json()
    data = {"token": pg.token, "session_id": ready["d"]["session_id"], "seq": 99}
    await raw.socket.send_json({"op": 6, "d": data})
    assert await raw.until_close() == 4007
    assert "4007" in pg.violations.pop()


async def test_zlib_stream(pg: Playground) -> None:
    stream = zlib.decompressobj()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(pg.gateway_url + "/?v=10&encoding=json&compress=zlib-stream") as ws,
    ):
        frame = await ws.receive_bytes()
        assert frame.endswith(b"\x00\x00\xff\xff")
        assert b'"op":10' in stream.decompress(frame)
        await Raw(ws).identify(pg.token)
        assert b'"t":"READY"' in stream.decompress(await ws.receive_bytes())
