"""Pacer: turns many progress reports into few edits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from bot.progress import Progress
from bot.supervision import supervised

Edit = Callable[[Progress], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]
Turn = Callable[[Progress], AbstractAsyncContextManager[object]]


class Pacer:
    """Shows the latest progress at most once per `interval` seconds and drops the rest.

    What an edit raises is logged; what is shown next is tried all the same.
    The acknowledgement counts as the first edit, so a quick job goes straight to the result.

    turn: what an edit has to enter first. That may take as long as the edits of others.
    """

    def __init__(
        self,
        edit: Edit,
        interval: float,
        sleep: Sleep = asyncio.sleep,
        turn: Turn = lambda _: nullcontext(),
    ) -> None:
        self._edit = edit
        self._interval = interval
        self._sleep = sleep
        self._turn = turn
        self._latest: Progress | None = None
        self._task: asyncio.Task[None] | None = None
        self._editing = asyncio.Lock()
        self._closed = False

    def show(self, progress: Progress) -> None:
        if self._closed:
            return
        self._latest = progress
        if self._task is None or self._task.done():
            running = supervised("keeping a message up to date", self._run, again=False)
            self._task = asyncio.create_task(running)

    async def close(self) -> None:
        """Show nothing more; an edit already under way has finished when this returns, and one that
        waits for its turn waits no longer."""
        self._closed, self._latest = True, None
        async with self._editing:
            if self._task is not None:
                self._task.cancel()

    async def _run(self) -> None:
        await self._sleep(self._interval)
        while self._latest is not None:
            # Outside the lock, which is held only while an edit must not be interrupted.
            async with self._turn(self._latest), self._editing:
                progress, self._latest = self._latest, None
                await self._edit(progress)
            await self._sleep(self._interval)
