"""Programs of tests, each ended by its own id."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.distributed.pace import Pace
from tests.distributed.bench import PACE

ROOT = Path(__file__).parents[2]


class Program:
    """lines: that it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.lines: list[str] = []
        self._process = process
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @property
    def dead(self) -> bool:
        return self._process.returncode is not None

    async def said(self, part: str) -> None:
        """Wait until it has printed a line with `part`."""
        async with asyncio.timeout(20):
            while not any(part in line for line in self.lines):
                self._news.clear()
                await self._news.wait()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            code = await self._process.wait()
            await self._reading
        return code

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode().strip())
            self._news.set()


@asynccontextmanager
async def program(url: str, module: str, *arguments: str) -> AsyncIterator[Program]:
    """`python -m module arguments`, killed at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "IMAGEN_BROKER": url},
        stdout=asyncio.subprocess.PIPE,
    )
    running = Program(process)
    try:
        yield running
    finally:
        await running.kill()


@asynccontextmanager
async def worker_process(
    url: str, *, name: str = "one", step: float = 0.05, ahead: float = 0.0, pace: Pace = PACE
) -> AsyncIterator[Program]:
    """step: seconds. ahead: how many seconds its clock is."""
    arguments = (name, str(step), str(ahead), str(pace.beat), str(pace.silence))
    async with program(url, "tests.distributed.worker_process", *arguments) as running:
        yield running
