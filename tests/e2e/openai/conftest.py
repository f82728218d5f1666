"""One server for the tests of a module, and OpenAI's own clients for it."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.e2e.conftest import CANARY
from tests.e2e.home import Home
from tests.e2e.openai.clients import client_of
from tests.e2e.server import Server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Any
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("openai"), models_dir)
    async with Server(home, IMAGEN_PREVIEW="true") as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log


@pytest_asyncio.fixture(loop_scope="session")
async def client(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(server) as client:
        yield client


@pytest.fixture
def sync_client(server: Server) -> Iterator[openai.OpenAI]:
    base = f"{server.url}/v1"
    with openai.OpenAI(base_url=base, api_key="sk-none", max_retries=0) as client:
        yield client
