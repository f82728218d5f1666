"""Retries writes that must not be lost until the store accepts them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.backoff import Backoff
from bot.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
PAUSES = Backoff(1, 5, 15, 60)


async def keep_trying(
    action: Callable[[], Awaitable[T]],
    what: str,
    *,
    check: Callable[[], None] = lambda: None,
) -> T:
    """Repeat `action` until it no longer raises StoreError; returns its result.

    what: a description for the log. check: called before each retry; raises to give up.
    """
    failures = 0
    while True:
        try:
            result = await action()
        except StoreError as error:
            pause = PAUSES.after(failures)
            failures += 1
            log.error("%s: %s; trying again in %.0f s", what, error, pause)
        else:
            if failures:
                log.info("%s: it works again", what)
            return result
        await asyncio.sleep(pause)
        check()
