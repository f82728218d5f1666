"""A blocked event loop ends the process; a slow one does not."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bot.process import watchdog
from bot.process.watchdog import watched_loop

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK", 0.02)
    monkeypatch.setattr(watchdog, "LOOKS", 50)


def stand_still(until: threading.Event, at_most: float) -> bool:
    """Like code that never yields to the event loop."""
    return until.wait(at_most)


async def test_one_that_stands_still_is_given_up_once(caplog: pytest.LogCaptureFixture) -> None:
    given_up = threading.Event()
    times: list[float] = []

    def give_up() -> None:
        times.append(time.monotonic())
        given_up.set()

    async with watched_loop(give_up):
        assert stand_still(given_up, 60)
        await asyncio.sleep(0.1)
    assert len(times) == 1
    assert "in stand_still" in caplog.text


@pytest.mark.long
async def test_one_that_is_slow_at_times_goes_on() -> None:
    given_up = threading.Event()
    async with watched_loop(given_up.set):
        for _ in range(10):
            time.sleep(0.2)  # noqa: ASYNC251
            await asyncio.sleep(0.06)
    assert not given_up.is_set()


async def test_nobody_looks_any_more_when_it_is_over() -> None:
    before = threading.active_count()
    async with watched_loop(lambda: None):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


async def test_a_log_that_takes_nothing_does_not_keep_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_up, stuck = threading.Event(), threading.Event()
    monkeypatch.setattr(watchdog.log, "critical", lambda *_: stuck.wait(60))
    async with watched_loop(given_up.set):
        assert stand_still(given_up, 60)
    stuck.set()


STUCK = """
import asyncio, sys
from bot.process import watchdog
from bot.process.restart import start_over

watchdog.LOOK = 0.05

async def main():
    async with watchdog.watched_loop(lambda: start_over(by_itself=False)):
        while True:
            print("x" * 65536, file=sys.stderr)

asyncio.run(main())
"""


def test_a_loop_that_stands_inside_a_full_pipe_is_given_up_too() -> None:
    """As if the reader of the log had stopped."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=ROOT, stderr=subprocess.PIPE
    ) as process:
        try:
            assert process.wait(timeout=60) == 75
        finally:
            process.kill()
