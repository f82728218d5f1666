"""Crash: the trace that a process leaves of how it died, for the next one to judge by.

A fatal signal (a segmentation fault, an abort) writes the stacks of all threads into a file.
SIGKILL writes nothing, whether the out-of-memory killer sends it or a person. The file says which
thread it was: a signal from outside is delivered to the main thread, one that a thread caused to
that thread, and images are generated in threads.
"""

import asyncio
import faulthandler
import logging
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

log = logging.getLogger(__name__)

NAME: Final = "crash.txt"
"""The file's name in the data folder. It is empty but for its first line while all is well."""
_FIRST_LINE: Final = re.compile(r"main thread (0x[0-9a-f]+)\n")
_FATAL: Final = "Fatal Python error: "
_CRASHED: Final = re.compile(r"^Current thread (0x[0-9a-f]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trace:
    """The stacks that a process wrote when it died; `text` is "" if it wrote none."""

    text: str = ""
    main: int | None = None

    @property
    def in_a_thread(self) -> bool:
        """Whether it died of something that a thread other than the main one did."""
        if self.main is None or _FATAL not in self.text:
            return False
        crashed = _CRASHED.search(self.text)
        # A thread of a library has no Python state, and none is then marked as the current one.
        return crashed is None or int(crashed[1], 16) != self.main


@asynccontextmanager
async def crashes_recorded(data_dir: Path) -> AsyncIterator[Trace]:
    """Write a trace into `data_dir` if this process crashes while the block lasts.

    Yields the trace of the last process that served from there. Without a file that can be
    written, it goes on without one.
    """
    file = data_dir / NAME
    traced = faulthandler.is_enabled()
    left, stream = await asyncio.to_thread(_open, file)
    if left.text:
        log.critical("the last process crashed; its threads were at\n%s", left.text)
    if stream is not None:
        faulthandler.enable(stream)
    try:
        yield left
    finally:
        if stream is not None:
            faulthandler.disable()
            if traced:
                faulthandler.enable()
            stream.close()
            await asyncio.to_thread(_remove, file)


def _open(file: Path) -> tuple[Trace, IO[str] | None]:
    """What the last process left in `file`, and the file opened for this one."""
    left = Trace()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            left = _parsed(file.read_text(encoding="utf-8", errors="replace"))
        stream = file.open("w", encoding="utf-8")
        stream.write(f"main thread {threading.main_thread().ident or 0:#x}\n")
        stream.flush()
    except OSError as error:
        log.warning("%s: cannot be written, so a crash leaves no trace: %s", file, error.strerror)
        return left, None
    return left, stream


def _parsed(text: str) -> Trace:
    first = _FIRST_LINE.match(text)
    if first is None:
        return Trace(text.strip())
    return Trace(text[first.end() :].strip(), int(first[1], 16))


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be deleted: %s", file, error.strerror)
