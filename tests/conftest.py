"""Fixtures that several folders share: a browser, and the option to take screenshots."""

import gc
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from playwright.async_api import Browser

from bot.engine.importing import hide_torchvision
from bot.log import OURS
from bot.store import database
from tests.browsing import Camera, launched
from tests.parameters import ALL
from tests.store.copying import Copying

hide_torchvision()  # tests import transformers and diffusers themselves

# How long anything takes on a busy machine says nothing about it.
settings.register_profile(
    "long", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=ALL
)
settings.register_profile("usual", settings.get_profile("long"), max_examples=ALL * 2 // 5)

TALLY = "tally"
"""The test property that is shown in the summary."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="write the README's pictures of the playground into docs/img",
    )
    parser.addoption("--long", action="store_true", help="run what takes long, too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.getoption("--long") else "usual")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for, or named alone."""
    if config.getoption("--long") or any("::" in asked for asked in config.args):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_collection(session: pytest.Session) -> None:
    """What is collected and imported stays, so garbage is not looked for in it."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the chaos counts even when everything passed."""
    tallies = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, value in report.user_properties
        if name == TALLY
    ]
    if tallies:
        terminalreporter.section("chaos")
        terminalreporter.write_line("\n".join(tallies))


@pytest.fixture(scope="session", autouse=True)
def migrated_once() -> Iterator[None]:
    """Migrations from nothing, which every other process runs, take longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "migrate", Copying().migrate)
        yield


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """What runs a command in this process may set them, for all tests that follow."""
    levels = {name: logging.getLogger(name).level for name in OURS}
    yield
    for name, level in levels.items():
        logger = logging.getLogger(name)
        if logger.level != level:  # setting it costs as much as there are loggers
            logger.setLevel(level)


@pytest.fixture(scope="session")
def camera(request: pytest.FixtureRequest) -> Camera:
    folder = Path(__file__).parents[1] / "docs" / "img"
    return Camera(folder if request.config.getoption("--screenshots") else None)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """This machine's Chromium, headless."""
    async with launched() as chromium:
        yield chromium
