"""What the soak, which takes an hour, would accept."""

import asyncio
import time
from dataclasses import replace
from typing import Any, cast

import pytest

from tests.chaos import soak
from tests.chaos.soak import HEARTBEAT_LATE, STALL, Figures, Soak, faults

FLAT = Figures(megabytes=500, files=30, threads=20, tasks=15)
LIVES = [(FLAT, FLAT)] * 3
STATES = ["delivered"] * 9 + ["cancelled"]


def test_a_sound_one() -> None:
    assert faults(LIVES, STATES, [STALL / 2], [HEARTBEAT_LATE / 2], []) == []


@pytest.mark.parametrize("state", ["failed", "pending", "running", "done"])
def test_a_job_that_came_to_no_good_end(state: str) -> None:
    assert faults(LIVES, [*STATES, state], [], [], []) == [f"1 jobs {state}"]


def test_a_loop_that_stood_still() -> None:
    assert faults(LIVES, STATES, [0.0, 2 * STALL], [], []) == [
        "the event loop stood still for 100 ms"
    ]


def test_a_heartbeat_that_came_late() -> None:
    late = [0.0, 2 * HEARTBEAT_LATE]
    assert faults(LIVES, STATES, [], late, []) == ["a heartbeat was 500 ms late"]


def test_what_grows_within_a_life_or_from_life_to_life() -> None:
    more = replace(FLAT, files=50)
    assert faults([(FLAT, more)], STATES, [], [], []) == ["life 1: files: 30 → 50"]
    assert faults([(FLAT, FLAT), (more, more)], STATES, [], [], []) == [
        "from life to life: files: 30 → 50"
    ]


def test_what_discord_would_not_have_taken() -> None:
    assert faults(LIVES, STATES, [], [], ["10062"]) == ["10062"]


async def test_a_queue_that_never_empties_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "CLEARING", 0.0)
    stuck = cast("Any", object.__new__(Soak))
    stuck._open = lambda: 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await Soak._shorter_than(stuck, 0, time.monotonic())
