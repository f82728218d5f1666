"""The playground's rules about shards, as a client meets them that ignores all of them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from playground import Playground

Json = dict[str, Any]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def begin(
    pg: Playground, session: aiohttp.ClientSession, number: int, count: int
) -> tuple[aiohttp.ClientWebSocketResponse, Json | int | None]:
    """IDENTIFY as a shard; returns the socket, and its READY, another payload or the close code."""
    socket = await session.ws_connect(pg.gateway_url)
    await socket.receive_json()
    data = {"token": pg.token, "intents": 1, "properties": {}, "shard": [number, count]}
    await socket.send_json({"op": 2, "d": data})
    answer = await socket.receive()
    if answer.type is aiohttp.WSMsgType.TEXT:
        return socket, answer.json()
    return socket, socket.close_code


def op(answer: Json | int | None) -> int:
    assert isinstance(answer, dict)
    return int(answer["op"])


async def test_the_limits_are_told_and_counted(
    pg: Playground, session: aiohttp.ClientSession
) -> None:
    pg.gateway.limits.shards, pg.gateway.limits.concurrency = 4, 2

    async def told() -> Json:
        headers = {"Authorization": f"Bot {pg.token}"}
        async with session.get(f"{pg.api_url}/gateway/bot", headers=headers) as answer:
            found: Json = await answer.json()
            return found

    before = await told()
    assert before["shards"] == 4
    assert before["session_start_limit"]["max_concurrency"] == 2
    await begin(pg, session, 0, 4)
    limit = (await told())["session_start_limit"]
    assert limit["remaining"] == before["session_start_limit"]["remaining"] - 1
    assert 0 < limit["reset_after"] <= 86_400_000


async def test_a_group_has_to_wait_and_others_do_not(
    pg: Playground, session: aiohttp.ClientSession
) -> None:
    pg.gateway.limits.concurrency, pg.gateway.limits.window = 2, 3600.0
    answers = [op((await begin(pg, session, number, 4))[1]) for number in (0, 1, 2)]
    assert answers == [0, 0, 9]
    assert "shard 2 identified" in pg.violations.pop()


async def test_more_sessions_than_a_day_has_are_refused(
    pg: Playground, session: aiohttp.ClientSession
) -> None:
    pg.gateway.limits.remaining = 1
    assert [op((await begin(pg, session, 0, 1))[1]) for _ in range(2)] == [0, 9]
    assert "sessions in a day" in pg.violations.pop()
    pg.gateway.limits.reset_in(0)
    assert op((await begin(pg, session, 0, 1))[1]) == 0


async def test_too_few_shards_are_refused_and_enough_are_not(
    pg: Playground, session: aiohttp.ClientSession
) -> None:
    pg.require_shards(3)
    assert (await begin(pg, session, 0, 2))[1] == 4011
    assert op((await begin(pg, session, 0, 3))[1]) == 0
    assert pg.violations == []


async def test_a_fault_of_one_shard_is_none_of_another(
    pg: Playground, session: aiohttp.ClientSession
) -> None:
    pg.gateway.limits.concurrency = 2
    sockets = [(await begin(pg, session, number, 2))[0] for number in (0, 1)]
    pg.invalidate_session(1)
    pg.request_reconnect(0)

    async def first(socket: aiohttp.ClientWebSocketResponse, *wanted: int) -> Json:
        while (payload := await socket.receive_json())["op"] not in wanted:
            pass
        found: Json = payload
        return found

    assert (await first(sockets[0], 7, 9))["op"] == 7
    assert (await first(sockets[1], 7, 9))["op"] == 9
    assert [session.shard[0] for session in pg.gateway.sessions.values()] == [0]
