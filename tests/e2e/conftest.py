"""One bot process serves most of the tests, because each start takes time, even when forked."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from playground import Playground, User
from tests.e2e.home import WIDTH, Bot, Home, free_port, offer_reference, write_lora, write_lycoris

CANARY = "canarybird"
"""In every prompt of these tests, and never in a log."""


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all bots: the built-in model is written once."""
    folder = tmp_path_factory.mktemp("models")
    write_lora(folder / "loras/ember.safetensors", seed=1)
    write_lora(folder / "loras/frost.safetensors", seed=2)
    write_lora(folder / "loras/old.safetensors", seed=3, width=WIDTH - 16)
    write_lycoris(folder / "loras")
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Bot]:
    home = Home(tmp_path_factory.mktemp("shared"), models_dir, more_loras=500)
    offer_reference(home)
    settings = {
        "IMAGEN_QUEUE_SIZE": "6",
        "IMAGEN_QUEUE_PER_USER": "3",
        "IMAGEN_METRICS_PORT": str(free_port()),
        "IMAGEN_USER_INSTALL": "true",
    }
    async with Playground() as playground, Bot(home, playground, **settings) as bot:
        await _mentioning(playground)
        yield bot
        assert CANARY not in bot.log
        assert playground.token not in bot.log
        tokens = [interaction.token for interaction in playground.interactions()]
        assert tokens
        assert not [token for token in tokens if token in bot.log]


async def _mentioning(playground: Playground) -> None:
    """Wait until the bot mentions its commands by their IDs, which it learns once Discord has
    registered them. Those who ask before are told names that cannot be pressed."""
    asks = playground.user("asks-for-help")
    for _ in range(300):
        call = await asks.slash("help")
        if call.message is not None and re.search(r"</[a-z ]+:\d+>", call.message.text):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it mentions no command")


@pytest.fixture
def home(tmp_path: Path, models_dir: Path) -> Home:
    """For tests that start their own bot."""
    return Home(tmp_path / "home", models_dir)


@pytest_asyncio.fixture(loop_scope="session")
async def playground(shared: Bot) -> AsyncIterator[Playground]:
    """The shared bot's Discord; neither side may report anything wrong."""
    yield shared.playground
    assert shared.playground.violations == []


@pytest.fixture
def ada(playground: Playground, request: pytest.FixtureRequest) -> User:
    """A new user for each test, so that tests do not run into each other's limits."""
    return playground.user(f"ada-{request.node.name[:20]}")
