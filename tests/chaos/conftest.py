"""A fresh light bot for each test that requests one; it starts in about a second."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playground import Playground, User
from tests.chaos.harness import ChaosHome, LightBot
from tests.e2e.home import free_port


@pytest.fixture
async def playground() -> AsyncIterator[Playground]:
    async with Playground() as playground:
        yield playground


@pytest.fixture
def home(tmp_path: Path) -> ChaosHome:
    return ChaosHome(tmp_path / "home", tmp_path / "models")


@pytest.fixture
async def bot(home: ChaosHome, playground: Playground) -> AsyncIterator[LightBot]:
    async with LightBot(home, playground, IMAGEN_METRICS_PORT=str(free_port())) as bot:
        yield bot


@pytest.fixture
def ada(playground: Playground) -> User:
    return playground.user("ada")
