"""Whoever waits for the broker can be cancelled at any moment."""

import asyncio

from bot.distributed.broker import Broker
from tests.distributed.bench import PACE
from tests.distributed.server import Server

TURNS = 60
"""Of the event loop, after each of which it is tried: a call takes about ten."""


async def test_a_call_that_is_cancelled_at_any_moment_is_cancelled(server: Server) -> None:
    client = Broker.at(server.url).client(PACE)

    async def ask() -> None:
        while True:
            await client.get("key")

    await client.get("key")  # else the first one connects as well
    for turns in range(TURNS):
        asking = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking], timeout=5)
        assert asking.cancelled(), f"after {turns} turns"
    assert await client.set("key", "value")
    assert await client.get("key") == b"value"
    await client.aclose()
