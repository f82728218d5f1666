"""Stopping on SIGINT and SIGTERM: soon, whatever a thread is inside of."""

import asyncio
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

log = logging.getLogger(__name__)

CLOSE_WITHIN = 4.5
"""Seconds from a signal to the end of the process."""


def stop_on_signals(exit_code: int = 0) -> asyncio.Event:
    """An event set by the first signal; the process then ends within CLOSE_WITHIN, or at a second.

    exit_code: of a process that had to be ended because a thread is inside one long call, such as
        a model load. It loses nothing: its job is pending in the store again.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            end(exit_code)
        log.info("stopping")
        stop.set()
        deadline = threading.Timer(CLOSE_WITHIN, end, (exit_code,))
        deadline.daemon = True
        deadline.start()

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, asked)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(asked))
    return stop


def unread() -> int:
    """The exit code once nobody reads our output any more, as after `| head`: SIGPIPE's.

    What is still to be written goes nowhere, or the interpreter would complain of it at its end.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


def leave(exit_code: int) -> NoReturn:
    """End the process, whose work is done, at once where a daemon thread is inside of something.

    The interpreter would be taken from under it, and torch's compiler then crashes the process.
    """
    if any(thread.daemon and type(thread) is threading.Thread for thread in threading.enumerate()):
        end(exit_code)
    sys.exit(exit_code)


def end(exit_code: int) -> NoReturn:
    """End the process at once, whatever its threads are inside of."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
