"""Two lanes, each with an engine in a process of its own: one dies, and nobody else notices."""

import asyncio
import os
import signal
from typing import Any

import psutil
import pytest

from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, ImpatientBot
from tests.e2e.results import job_of
from tests.e2e.test_life import until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does"),
    pytest.mark.long,
]
APART = {"IMAGEN_DEVICES": "cpu,cpu", "IMAGEN_ENGINE": "process"}
LONG: dict[str, Any] = {"size": "256x256", "steps": 60}
"""Seconds of work, even on a fast machine."""


def engines(bot: Bot) -> dict[str, psutil.Process]:
    """The engine processes by the names of their lanes."""
    found = {}
    for child in psutil.Process(bot.pid).children(recursive=True):
        command = child.cmdline()
        if "bot.engine_process" in command:
            found[command[-1]] = child
    return found


def lane_of(home: Home, job_id: str) -> str | None:
    [(lane,)] = home.rows(f"SELECT lane FROM jobs WHERE id = '{job_id}'")
    return str(lane) if lane else None


async def test_a_killed_engine_costs_one_attempt_at_one_job(home: Home) -> None:
    async with Playground() as playground, ImpatientBot(home, playground, **APART) as bot:
        ada, bob = playground.user("ada"), playground.user("bob")
        first = await ada.slash("imagine", prompt=CANARY, seed=1, **LONG)
        second = await bob.slash("imagine", prompt=CANARY, seed=2, **LONG)
        for asked in (first, second):
            await asked.wait(lambda m: "Step" in m.text, timeout=120)
        assert first.message is not None
        assert second.message is not None
        doomed, other = job_of(first.message), job_of(second.message)
        lanes = {lane_of(home, doomed), lane_of(home, other)}
        assert lanes == {"cpu-1", "cpu-2"}

        queue = await bob.slash("queue")
        shown = (await queue.wait(lambda m: bool(m.embeds))).embeds[0]
        [gpus] = [field["value"] for field in shown["fields"] if field["name"] == "GPUs"]
        assert all(name in gpus for name in ("cpu-1", "cpu-2"))

        killed = engines(bot)[str(lane_of(home, doomed))]
        bystander = engines(bot)[str(lane_of(home, other))].pid
        killed.send_signal(signal.SIGKILL)
        for asked in (first, second):
            await asked.wait(lambda m: bool(m.attachments), timeout=180)

        await until(lambda: home.states() == ["delivered"] * 2)
        rows = home.rows("SELECT id, state, attempt, crashes, own_crashes FROM jobs ORDER BY id")
        assert {row[0]: row[1:] for row in rows} == {
            doomed: ("delivered", 2, 1, 0),
            other: ("delivered", 1, 0, 0),
        }
        assert bystander in {process.pid for process in engines(bot).values()}
        # Nobody sees that anything happened: one message each, and the connection is the same.
        results = [m for m in playground.messages() if m.attachments]
        assert len(results) == 2
        assert playground.gateway_identifies == 1

        # The lane is there again.
        third = await ada.slash("imagine", prompt=CANARY, seed=3, **LONG)
        fourth = await bob.slash("imagine", prompt=CANARY, seed=4, **LONG)
        for asked in (third, fourth):
            await asked.wait(lambda m: bool(m.attachments), timeout=180)
        assert len({lane for (lane,) in home.rows("SELECT lane FROM jobs WHERE attempt = 1")}) == 2
        left = [process.pid for process in engines(bot).values()]
        assert await bot.end(signal.SIGTERM) == 0
        assert not [pid for pid in left if psutil.pid_exists(pid)]
        assert "Traceback" not in bot.log
        assert CANARY not in bot.log
        assert playground.violations == []


async def test_the_images_are_those_of_one_lane_in_a_thread(home: Home) -> None:
    """Where an image is generated does not show in its pixels, nor does what lanes there are."""
    seen = []
    async with Playground() as playground:
        for devices, engine in (("cpu", "thread"), ("cpu,cpu", "process"), ("cpu,cpu", "thread")):
            settings = {"IMAGEN_DEVICES": devices, "IMAGEN_ENGINE": engine}
            async with Bot(home, playground, **settings) as bot:
                asked = [
                    await playground.user(name).slash("imagine", prompt=CANARY, seed=9)
                    for name in ("ada", "bob")
                ]
                for each in asked:
                    await each.wait(lambda m: bool(m.attachments), timeout=180)
                assert await bot.end(signal.SIGTERM) == 0
                await asyncio.sleep(0)
            seen.append(home.rows("SELECT DISTINCT pixels_sha256 FROM images"))
    assert [len(rows) for rows in seen] == [1, 1, 1]
