"""Starting after another process ended."""

from types import SimpleNamespace
from typing import cast

from bot.process.lock import Claims
from bot.queue import JobQueue
from bot.store import Store
from bot.worker.recovery import UNKNOWN, LastEnd, LeftBehind, recover
from tests.queue.lanes import ORIGINS

ALL_ALIVE = cast("Claims", SimpleNamespace(abandoned=lambda _: False))


async def recovered(store: Store, queue: JobQueue, end: LastEnd = UNKNOWN) -> LeftBehind:
    """`recover`, while the command line that accepted a job is still running."""
    return await recover(store, queue, ORIGINS, ALL_ALIVE, end)
