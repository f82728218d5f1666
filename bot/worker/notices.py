"""Notifies observers in the background, so that no GPU waits for Discord."""

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Notices:
    """The notifications in progress."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, news: Coroutine[Any, Any, None]) -> None:
        """Await `news` in the background; errors are logged."""
        task = asyncio.create_task(news)
        self._tasks.add(task)
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an observer failed", exc_info=error)

    async def finish(self, beside: Collection[asyncio.Future[None]], seconds: float) -> None:
        """Wait up to `seconds` for all notifications and `beside`, then cancel what is left."""
        last: set[asyncio.Future[None]] = {*self._tasks, *beside}
        if not last:
            return
        _, late = await asyncio.wait(last, timeout=seconds)
        for future in late:
            future.cancel()
        if late:
            await asyncio.wait(late)
