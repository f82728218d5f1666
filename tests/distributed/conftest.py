"""A broker of its own for each test that asks for one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.distributed.broker import Broker
from tests.distributed.bench import PACE
from tests.distributed.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    broker = Server(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    opened = Broker.at(server.url).client(PACE)
    yield opened
    await opened.aclose()
