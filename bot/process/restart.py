"""Restarts: exit codes for a supervisor, the bot's own restart, and a delay for crash loops."""

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
"""From sysexits.h: EX_TEMPFAIL, starting again may help; EX_CONFIG, it will not."""
PAUSES = Backoff(0, 0, 0, 10, 30, 60, 120, 300)
"""Seconds to wait before the first, second, … start within WINDOW and since the last clean stop.

Discord allows 1,000 sessions a day and then resets the token (docs, events/gateway.mdx); a start
every five minutes is 288."""
WINDOW = 60 * 60 * 1000
"""Milliseconds."""
KEY, NONE = "starts", "[]"


def exit_code(error: Exception) -> int:
    """The exit code for `error`, which tells a supervisor whether to try again."""
    return TRY_AGAIN if isinstance(error, StoreError) and not error.lasting else MISCONFIGURED


def replace_process() -> NoReturn:
    """Replace this process by a new one with the same command line, even if threads are busy."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606


def start_over(*, by_itself: bool) -> NoReturn:
    """Continue in a new process: restart `by_itself`, or else exit for a supervisor to do so."""
    if by_itself:
        replace_process()
    # At once, because a thread may hang for ever.
    end(TRY_AGAIN)


async def was_told_to_stop(store: Store) -> bool:
    """Whether the last process had been told to stop, for asking before `slow_down`."""
    return await store.setting(KEY) == NONE


async def slow_down(store: Store) -> None:
    """Record this start, then wait if many recent ones did not end cleanly."""
    now = now_ms()
    # None of the future: the clock was wrong then, and they would count until it comes.
    starts = [at for at in json.loads(await store.setting(KEY) or NONE) if now - WINDOW < at <= now]
    await store.set_setting(KEY, json.dumps([*starts, now]))
    if pause := PAUSES.after(len(starts)):
        log.warning(
            "start %d within the hour without a clean stop; waiting %d s", len(starts) + 1, pause
        )
        await asyncio.sleep(pause)


async def told_to_stop(store: Store) -> None:
    """Record that this process was told to stop: the next start does not wait, and blames no job
    even if this process is killed before it has stopped."""
    try:
        await store.set_setting(KEY, NONE)
    except StoreError as error:
        log.error("that the bot was told to stop cannot be recorded: %s", error)
