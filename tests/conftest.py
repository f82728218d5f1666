"""What tests of several folders need: a browser, and the option to take pictures of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browsing import Camera, launched


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the README's pictures of the playground into docs/img",
    )


@pytest.fixture(scope="session")
def camera(request: pytest.FixtureRequest) -> Camera:
    folder = Path(__file__).parents[1] / "docs" / "img"
    return Camera(folder if request.config.getoption("--screenshots") else None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The Chromium of this machine, without a window."""
    async with launched() as chromium:
        yield chromium
