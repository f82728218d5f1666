"""An engine process without torch, which starts in a second."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine_process import ProcessEngine
from bot.order import Order
from bot.painting import OnPainted, Painting, unheard
from bot.progress import Progress
from bot.request import GenerationRequest
from bot.wire.options import EngineOptions
from catalog import ModelEntry

MODULE = "tests.engine_process.light"
TOKEN = "hf_canaryOfTheHubCanaryOfTheHub"
MODEL = ModelEntry(key="demo", name="Demo", path="demo")


def order(prompt: str = "", **fields: Any) -> Order:
    """What the light engine is to do: see tests/engine_process/light.py."""
    defaults: dict[str, Any] = {
        "negative": "",
        "model": "demo",
        "steps": 2,
        "guidance": 5.0,
        "seed": 7,
        "width": 8,
        "height": 8,
        "scheduler": "Euler",
    }
    return Order(GenerationRequest(prompt=prompt, **{**defaults, **fields}), MODEL, name="a:1")


def paint(
    engine: ProcessEngine,
    prompt: str = "",
    report: Callable[[Progress], None] = lambda _: None,
    check_stop: Callable[[], None] = lambda: None,
    painted: OnPainted = unheard,
    **fields: Any,
) -> Painting:
    return engine.paint(order(prompt, **fields), report, check_stop, painted)


def build(**options: Any) -> ProcessEngine:
    folder = Path("/nowhere")
    wanted = EngineOptions(
        models_dir=folder, hashes_file=folder / "hashes.json", hub_token=TOKEN, **options
    )
    return ProcessEngine(wanted, "gpu-1", module=MODULE)


PATIENCE = 60.0
"""Seconds that something may take that takes a moment."""


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or process does."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() < begun + PATIENCE, "it does not happen"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def shared() -> Iterator[ProcessEngine]:
    """For all tests that leave it as good as ever."""
    engine = build()
    yield engine
    engine.close()


@pytest.fixture
def engine() -> Iterator[ProcessEngine]:
    engine = build()
    yield engine
    engine.close()
