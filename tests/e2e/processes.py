"""Starts the real process: cold, or forked from one that has imported the libraries already."""

import asyncio
import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

from bot.engine.importing import LIBRARY_SETTINGS

SERVER = Path(__file__).with_name("fork_server.py")
OWN = ("IMAGEN_", "DISCORD_", "CHAOS_")
"""Prefixes of environment variables that no library and no interpreter reads at start-up."""


class Process(Protocol):
    """What asyncio's processes and forked ones have in common."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


async def start(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdout: IO[bytes],
    stderr: IO[bytes],
    cold: bool = False,
) -> Process:
    """Run `command`; forked if it runs this Python and `cold` does not forbid it."""
    python, program, *_ = command
    if not cold and python == sys.executable and program.endswith(".py"):
        server = fork_server()
        if server is not None and server.suits(environment):
            return await server.fork(command[1:], cwd, environment, stdout, stderr)
    return await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=environment, stdout=stdout, stderr=stderr
    )


@functools.cache
def fork_server() -> "ForkServer | None":
    """One for all tests of this process, or None where the system does not support it."""
    return ForkServer() if hasattr(os, "pidfd_open") else None


class ForkServer:
    """fork_server.py, which imports the libraries while the first process is awaited."""

    def __init__(self) -> None:
        kept = ("PATH", "HOME", "LANG")
        self._base = {name: os.environ[name] for name in kept if name in os.environ}
        self._base |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), str(other.fileno())],
                # As in the bot when it imports them.
                env={**self._base, **LIBRARY_SETTINGS},
                pass_fds=[other.fileno()],
            )
        atexit.register(self.close)

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a process with that environment would have imported the libraries alike."""
        inherited = {name: environment[name] for name in environment if not name.startswith(OWN)}
        return inherited == self._base

    async def fork(
        self,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> "Forked":
        message = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        report, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            files = [other.fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._control, [json.dumps(message).encode()], files)
        report.setblocking(False)
        return Forked(await read_number(report), report)

    def close(self) -> None:
        self._control.close()
        self._process.wait()


class Forked:
    """A process started by the fork server, which, not this process, learns how it ends."""

    def __init__(self, pid: int, report: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._report = report
        self._waiting = asyncio.Lock()

    def send_signal(self, number: int, /) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, but was not waited for yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """The exit code, or the negative number of the signal that ended it."""
        async with self._waiting:
            if self.returncode is None:
                self.returncode = await read_number(self._report)
                self._report.close()
            return self.returncode


async def read_number(report: socket.socket) -> int:
    """Raises EOFError if the fork server has ended."""
    data = await asyncio.get_running_loop().sock_recv(report, 64)
    if not data:
        raise EOFError("the fork server has ended")
    return int(data)
