"""Watchdog: a thread that detects an event loop that has stopped."""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two checks."""
LOOKS = 12
"""Checks in a row that a blocked loop misses. Not seconds: the computer may have slept."""


@asynccontextmanager
async def watched_loop(give_up: Callable[[], object]) -> AsyncIterator[None]:
    """Call `give_up` in a thread once the running loop has been blocked for about a minute.

    Nothing legitimate blocks it that long: Discord would have closed the connection.
    """
    loop, over, turned = asyncio.get_running_loop(), threading.Event(), threading.Event()
    watched = threading.get_ident()

    def tell() -> None:
        frames = traceback.format_stack(sys._current_frames()[watched])  # noqa: SLF001
        log.critical("the event loop is blocked at\n%s", "".join(frames))

    def look() -> None:
        missed = 0
        loop.call_soon_threadsafe(turned.set)
        while not over.wait(LOOK):
            if turned.is_set():
                missed = 0
                turned.clear()
                loop.call_soon_threadsafe(turned.set)
                continue
            missed += 1
            if missed == LOOKS:
                # In a thread, because the loop may hang while it holds the log's lock.
                telling = threading.Thread(target=tell, daemon=True)
                telling.start()
                telling.join(LOOK)
                give_up()
                return

    thread = threading.Thread(target=look, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
