"""Restarts: exit codes for a supervisor, the bot's own restart, and a brake on crash loops."""

import asyncio
import json
import logging
import os
import sys
from typing import NoReturn

from bot.backoff import Backoff
from bot.errors import StoreError
from bot.process.signals import end
from bot.store import Store, now_ms

log = logging.getLogger(__name__)

TRY_AGAIN, MISCONFIGURED = 75, 78
"""As sysexits.h calls them: EX_TEMPFAIL, another start may do; EX_CONFIG, none will."""
PAUSES = Backoff(0, 0, 0, 10, 30, 60, 120, 300)
"""Seconds before the first start, the second … within WINDOW that none ended well before.

Discord allows 1,000 sessions a day and then resets the token (docs, events/gateway.mdx); a start
every five minutes is 288."""
WINDOW = 60 * 60 * 1000
KEY = "starts"


def exit_code(error: Exception) -> int:
    """Of a `run` that ends by `error`: whether a supervisor should try again."""
    return TRY_AGAIN if isinstance(error, StoreError) and not error.lasting else MISCONFIGURED


def replace_process() -> NoReturn:
    """Put a fresh process of the same call in the place of this one, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def start_over(*, by_itself: bool) -> NoReturn:
    """Leave it to a fresh process: one of its own making, or else a supervisor's."""
    if by_itself:
        replace_process()
    # A thread may be inside of something for ever: nothing waits for it.
    end(TRY_AGAIN)


async def slow_down(store: Store) -> None:
    """Note this start, and wait first if many recent ones did not end cleanly."""
    now = now_ms()
    starts = [at for at in json.loads(await store.setting(KEY) or "[]") if at > now - WINDOW]
    await store.set_setting(KEY, json.dumps([*starts, now]))
    if pause := PAUSES.after(len(starts)):
        log.warning(
            "start %d within the hour without a clean stop; waiting %d s", len(starts) + 1, pause
        )
        await asyncio.sleep(pause)


async def ended_well(store: Store) -> None:
    """A clean stop: the next start need not wait."""
    await store.set_setting(KEY, "[]")
