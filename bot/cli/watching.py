"""Watching a job from a terminal."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from bot.progress import Progress
from bot.store import Job
from bot.texts.language import Say
from bot.texts.lines import status_line

T = TypeVar("T")


class Watcher:
    """A JobObserver for a terminal; `ended` is set when the job is over."""

    def __init__(self, say: Say, *, bar: bool) -> None:
        self.say = say
        self._bar = bar
        self._shown = ""
        self.ended = asyncio.Event()

    def show(self, progress: Progress) -> None:
        self.show_line(status_line(self.say, progress))

    def show_line(self, line: str) -> None:
        if self._bar and line != self._shown:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._shown = line

    def end(self) -> None:
        if self._bar and self._shown:
            print("\r\033[K", end="", file=sys.stderr)
            self._shown = ""
        self.ended.set()

    def moved(self, places: dict[str, Progress]) -> None:
        """No other user waits in this queue."""

    def progressed(self, job: Job, progress: Progress) -> None:
        self.show(progress)

    async def finished(self, job: Job) -> None:
        self.end()

    async def failed(self, job: Job) -> None:
        self.end()


async def until_ended(
    waiting: Coroutine[Any, Any, T], stop: asyncio.Event, cancel: Callable[[], Awaitable[None]]
) -> T:
    """Wait for a job that another process runs; once `stop` is set, cancel it and wait on."""
    ending = asyncio.create_task(waiting)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await cancel()
        return await ending
    finally:
        ending.cancel()
        stopping.cancel()
