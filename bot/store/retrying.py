"""Insisting: what must not be lost is tried again until the disk lets it be written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
PAUSES = (1.0, 5.0, 15.0, 60.0)
"""Seconds between two tries; the last one again and again."""


async def insist(
    action: Callable[[], Awaitable[T]],
    what: str,
    *,
    check: Callable[[], None] = lambda: None,
) -> T:
    """What `action` returns, once it does not raise StoreError any more.

    what: is done, for the log. check: called before each further try; raises to give up.
    """
    tries = 0
    while True:
        try:
            result = await action()
        except StoreError as error:
            pause = PAUSES[min(tries, len(PAUSES) - 1)]
            tries += 1
            log.error("%s: %s; trying again in %.0f s", what, error, pause)
        else:
            if tries:
                log.info("%s: it works again", what)
            return result
        await asyncio.sleep(pause)
        check()
