"""What else than the bot is killed: its engine processes, the machines that work for it, and the
broker between them. Each victim is killed with SIGKILL and replaced as it would be."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.distributed.server import Server
from tests.e2e.home import Home
from tests.e2e.processes import Process, start

ENGINE = "tests.chaos.light_process"
"""The module that engine processes run."""
WORKER = Path(__file__).with_name("light_bot.py")


class Victim(Protocol):
    """lanes: of the bot that lose their job with it, as SQL compares them."""

    name: str
    lanes: str

    def kill(self) -> bool:
        """Returns whether there was anything to kill."""
        ...

    async def replace(self, after: float) -> None:
        """Start another `after` seconds."""
        ...


class Engine:
    """The engine process of the lane that is called `lane`. bot: returns its process id."""

    name = "engine"

    def __init__(self, lane: str, bot: "BotProcess") -> None:
        self.lanes = f"lane = '{lane}'"
        self._lane = lane
        self._bot = bot

    def kill(self) -> bool:
        engines = [pid for pid, lane in engines_of(self._bot.pid) if lane == self._lane]
        for pid in engines:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(engines)

    async def replace(self, after: float) -> None:
        """The bot does that, in its own time."""


class BotProcess(Protocol):
    @property
    def pid(self) -> int: ...


class Broker:
    """with_data: whether it has all its data when it is started again; else it has nothing."""

    lanes = "1"

    def __init__(self, server: Server, *, with_data: bool) -> None:
        self.name = "broker with its data" if with_data else "broker, then empty"
        self._server = server
        self._with_data = with_data

    def kill(self) -> bool:
        self._server.kill()
        return True

    async def replace(self, after: float) -> None:
        await asyncio.sleep(after)
        self._server.start(with_data=self._with_data)


class Machine:
    """`main.py worker` in a home of its own."""

    name = "worker"

    def __init__(self, called: str, home: Home, broker: Server) -> None:
        self.lanes = f"lane = '{called}.0'"
        self._called = called
        self._home = home
        self._broker = broker
        self._process: Process | None = None

    async def start(self) -> None:
        self._home.data_dir.mkdir(exist_ok=True)
        with (self._home.folder / "worker.log").open("ab") as log:
            self._process = await start(
                [sys.executable, str(WORKER), "worker", "--name", self._called],
                cwd=self._home.folder,
                environment={**self._home.environment, "IMAGEN_BROKER": self._broker.url},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.kill()
        return True

    async def replace(self, after: float) -> None:
        assert self._process is not None
        await self._process.wait()
        await asyncio.sleep(after)
        await self.start()

    async def end(self) -> None:
        if self.kill():
            assert self._process is not None
            await self._process.wait()


def engines_of(bot: int) -> Sequence[tuple[int, str]]:
    """The engine processes of a bot, with the names of their lanes."""
    return [(pid, lane) for pid, parent, lane in _engines() if parent == bot]


def _engines() -> Sequence[tuple[int, int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            command = (folder / "cmdline").read_bytes().decode().split("\0")
            if ENGINE in command:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found.append((int(folder.name), parent, command[command.index(ENGINE) + 1]))
    return found
