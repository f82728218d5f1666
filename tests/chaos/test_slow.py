"""Discord answers slowly: requests wait for a free connection, not for a free file."""

import asyncio
import itertools
import signal
import sys
from pathlib import Path

import pytest

from bot.process.preparation import OPEN_FILES
from playground import Playground, User
from tests.chaos.harness import ChaosHome, LightBot, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit"), pytest.mark.long]

CONNECTIONS = 32
"""Fewer than the bot has, so that fewer requests are enough."""
OTHERS = 64
"""Files that the bot may open for everything else."""
TOO_MANY = "Too many open files"


class ColdBot(LightBot):
    """Has the limits of this process, not those of one that was started before."""

    cold = True


def open_files(pid: int) -> set[int]:
    return {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}


@pytest.mark.long
async def test_more_requests_than_the_process_may_open_files(
    home: ChaosHome, playground: Playground, ada: User
) -> None:
    async with LightBot(home, playground, CHAOS_CONNECTIONS=str(CONNECTIONS)) as bot:
        await ask_more_than_it_may_open(bot, playground, ada)


async def ask_more_than_it_may_open(bot: LightBot, playground: Playground, ada: User) -> None:
    import resource

    used = open_files(bot.pid)
    free = next(number for number in itertools.count() if number not in used)
    limit = free + CONNECTIONS + OTHERS
    resource.prlimit(bot.pid, resource.RLIMIT_NOFILE, (limit, limit))
    playground.ack_deadline = 60
    playground.hold_answers()
    asking = [
        asyncio.create_task(ada.slash("imagine", prompt="x", seed=seed, steps=1))
        for seed in range(CONNECTIONS + 2 * OTHERS)
    ]
    await until(lambda: len(bot.home.states()) == len(asking))
    # The gateway takes one.
    await until(lambda: playground.held >= CONNECTIONS - 1 or TOO_MANY in bot.log)
    assert len(open_files(bot.pid)) < limit
    playground.hold_answers(held=False)
    calls = await asyncio.gather(*asking)
    await until(lambda: bot.home.states() == ["delivered"] * len(calls))
    assert TOO_MANY not in bot.log


async def test_the_bot_raises_its_own_limit(home: ChaosHome, playground: Playground) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = min(soft, 1024)
    bot = ColdBot(home, playground)
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        await bot.start(online=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        await playground.wait_online()
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        assert resource.prlimit(bot.pid, resource.RLIMIT_NOFILE) == (wanted, hard)
    finally:
        bot.send(signal.SIGTERM)
        await bot.wait()
