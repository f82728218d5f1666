"""What is told in the background, so that no GPU waits for Discord."""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Notices:
    """News under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, news: Coroutine[Any, Any, None]) -> None:
        """Await `news` in the background; a fault of its is logged."""
        task = asyncio.create_task(news)
        self._tasks.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an observer failed", exc_info=error)

    async def finish(self, beside: Collection[asyncio.Future[None]], seconds: float) -> None:
        """Wait that long for what is under way, and for what else must end; then cancel it."""
        last: set[asyncio.Future[None]] = {*self._tasks, *beside}
        if not last:
            return
        _, late = await asyncio.wait(last, timeout=seconds)
        for future in late:
            future.cancel()
        if late:
            await asyncio.wait(late)
