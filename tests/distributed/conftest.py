"""A broker of its own for each test that asks for one, and a bot that files are fetched from."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bot.distributed import fetching, source
from bot.distributed.broker import Broker
from tests.distributed.bench import PACE
from tests.distributed.bot_files import Interface, interface
from tests.distributed.machines import Machine, bare_worker, bot
from tests.distributed.server import Server
from tests.distributed.site import Site


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    broker = Server(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return bot(tmp_path_factory.mktemp("bot")).ready()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interface]:
    async with interface(tmp_path_factory.mktemp("interface"), here.inventory) as http:
        yield http


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAUSES", (0.01,) * 3)
    monkeypatch.setattr(source, "AGAIN_MIN", 0.01)
    monkeypatch.setattr(fetching, "SPARE", 0)


@pytest.fixture
def site(here: Machine, http: Interface, tmp_path: Path, impatient: None) -> Site:
    return Site(here, http, bare_worker(tmp_path).ready())


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Redis]:
    opened = Broker.at(server.url).client(PACE)
    yield opened
    await opened.aclose()
