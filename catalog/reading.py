"""Read weight files in a process of its own, so that no other thread of this one waits.

Parsing one header holds the interpreter's lock for milliseconds; thousands in a row would make the
event loop late all the time. The other process ends with the pipe to it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from catalog.headers import HeaderCache, Reading
from catalog.kept import decoded, encoded
from catalog.unread import Unread

LINE_MAX: Final = 64 * 1024 * 1024
"""Bytes of what is said about one batch of files."""
NICE: Final = 10
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from catalog.reading import main; main()"
)
_ROOT: Final = str(Path(__file__).resolve().parent.parent)
_PRIVATE: Final = ("DISCORD_", "IMAGEN_")

Read = Callable[[Sequence[Unread]], Awaitable[list[Reading]]]


class ReaderGone(Exception):
    """The process that reads could not be started, or has ended."""


@asynccontextmanager
async def reading_process() -> AsyncIterator[Read]:
    """Yields a function that reads a batch of files there. Both raise ReaderGone."""
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith(_PRIVATE)}
    flags = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _PROGRAM, _ROOT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
            env=environment,
            creationflags=flags,
        )
    except (OSError, NotImplementedError) as error:
        raise ReaderGone(str(error)) from error
    stdin, stdout = process.stdin, process.stdout
    if stdin is None or stdout is None:
        raise ReaderGone("it has no pipes")

    async def read(batch: Sequence[Unread]) -> list[Reading]:
        asked = [[one.kind, one.paths, one.beside] for one in batch]
        try:
            stdin.write(json.dumps(asked).encode() + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        except (OSError, ValueError) as error:
            raise ReaderGone(str(error)) from error
        if not line.endswith(b"\n"):
            raise ReaderGone(f"exit code {await process.wait()}")
        return await asyncio.to_thread(_readings, line)

    try:
        yield read
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _readings(line: bytes) -> list[Reading]:
    return [reading for said in json.loads(line) if (reading := decoded(said.encode()))]


def main() -> None:
    """Answer batches until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bot's to handle
    if hasattr(os, "nice"):
        os.nice(NICE)
    for line in sys.stdin.buffer:
        said = [text for one in json.loads(line) for text in _read(one)]
        sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
        sys.stdout.buffer.flush()


def _read(asked: list[Any]) -> list[str]:
    kind, paths, beside = asked
    try:
        readings = [*HeaderCache().read(Unread(kind, tuple(paths), tuple(beside)))]
    except OSError:
        return []  # the one who asks tries again
    return [encoded(reading).decode().rstrip("\n") for reading in readings]
