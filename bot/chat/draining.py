"""Draining: before an update, no new jobs are taken and the line is finished."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bot.chat.audit import Audit
from bot.chat.delivery import Delivery
from bot.queue import JobQueue
from bot.store import ActKind, Store

log = logging.getLogger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks whether all has arrived."""
TELLING: Final = 10.0
"""Seconds that the owners have to be told before the process stops."""


class Draining:
    """Nothing of it is kept: after a restart, the bot takes jobs.

    stop: makes this process stop as at a signal.
    """

    def __init__(
        self,
        queue: JobQueue,
        delivery: Delivery,
        store: Store,
        audit: Audit,
        stop: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._delivery = delivery
        self._store = store
        self._audit = audit
        self._stop = stop
        self._finishing: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        return self._queue.blocked.closing

    async def begin(self, actor: str, *, stop: bool) -> None:
        """Take no more jobs; say when all are done, and then stop if `stop`.

        Begun before, only `stop` may change.
        """
        self._queue.blocked.close(closing=True)
        if self._finishing is not None:
            self._finishing.cancel()
        self._finishing = asyncio.create_task(self._finish(actor, stop=stop))
        await self._record(actor, "stop" if stop else "begin")

    async def undo(self, actor: str) -> bool:
        """Take jobs again; returns False if it was not begun."""
        if not self.begun:
            return False
        self._queue.blocked.close(closing=False)
        if self._finishing is not None:
            self._finishing.cancel()
        self._finishing = None
        await self._record(actor, "undo")
        return True

    async def _finish(self, actor: str, *, stop: bool) -> None:
        try:
            await self._emptied()
            log.info("drained: no job is left")
            await self._record(actor, "empty")
            if not stop:
                return
            async with asyncio.timeout(TELLING):
                await self._audit.settled()
        except TimeoutError:
            log.warning("stopping before everyone was told what was changed")
        except Exception:
            log.exception("draining failed")
            return
        self._stop()

    async def _emptied(self) -> None:
        """Wait until no job is left, and every result has arrived."""
        moved = asyncio.Event()
        unsubscribe = self._queue.subscribe(moved.set)
        try:
            while len(self._queue) or self._delivery.on_the_way:
                moved.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await moved.wait()
        finally:
            unsubscribe()

    async def _record(self, actor: str, state: str) -> None:
        await self._store.acts.record(kind=ActKind.DRAINED, actor=actor, state=state)
