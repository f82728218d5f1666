"""The bot as a separate process, killed and started again."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from playground import NotAcknowledged, Playground, User

ROOT = Path(__file__).parents[2]
Launch = Callable[..., Awaitable[Process]]


@pytest_asyncio.fixture
async def launch() -> AsyncIterator[Launch]:
    """Starts ``python -m …``; whatever still runs at the end is killed."""
    running: list[Process] = []

    async def begin(*words: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, cwd=ROOT, stdout=PIPE
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.long
async def test_kill_and_restart(pg: Playground, ada: User, launch: Launch) -> None:
    bot = ("tests.playground.inline_bot", pg.api_url, pg.gateway_url, pg.token)
    first = await launch(*bot)
    await pg.wait_online(timeout=20)
    await pg.wait_commands("paint")
    message = await (await ada.slash("paint", prompt="fox")).wait(timeout=10)
    first.kill()
    await pg.wait_offline(timeout=10)
    pg.ack_deadline = 0.05
    with pytest.raises(NotAcknowledged, match="the bot is OFFLINE"):
        await ada.click(message, "Flip")
    pg.ack_deadline = 3.0
    await launch(*bot)
    await pg.wait_online(timeout=20)
    call = await ada.click(message, "Flip")
    assert call.message is message
    assert message.content == "flipped"
    assert pg.violations == []


async def test_standing(launch: Launch) -> None:
    process = await launch("playground")
    assert process.stdout is not None
    said = [(await process.stdout.readline()).decode() for _ in range(6)]
    assert said[0].startswith("api_url: http://127.0.0.1:")
    assert said[4].startswith("DISCORD_TOKEN=")
    assert said[5].startswith("DISCORD_API_URL=http://127.0.0.1:")
