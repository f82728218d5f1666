"""Supervision of background tasks: none ends without a trace, or for good.

What a task raises is otherwise only seen by whoever awaits it, and nobody awaits these before the
process ends.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bot.backoff import Backoff

log = logging.getLogger(__name__)

PAUSES: Final = Backoff(1, 5, 30, 120, 600)
"""Seconds before a task is begun again."""
WELL: Final = 600.0
"""Seconds after which one that failed before is well again: it begins with the first pause."""


async def supervised(
    what: str, work: Callable[[], Awaitable[object]], *, again: bool = True
) -> None:
    """Await `work()` until it returns, or this is cancelled. What it raises is logged with its
    traceback, and then it is begun again.

    what: says in the log what it does. again: whether it may be begun twice.
    """
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            await work()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody has cancelled this: it has awaited something that was cancelled.
            log.exception("%s: cancelled from within", what)
        except Exception:
            log.exception("%s: failed", what)
        else:
            return
        if not again:
            return
        if time.monotonic() - begun > WELL:
            failures = 0
        pause = PAUSES.after(failures)
        failures += 1
        log.info("%s: begins again in %g s", what, pause)
        await asyncio.sleep(pause)
