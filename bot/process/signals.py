"""Stopping on SIGINT and SIGTERM: soon, whatever a thread is inside of."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

log = logging.getLogger(__name__)

CLOSE_WITHIN = 4.5
"""Seconds from a signal, or from the engine's loss, to the end of the process."""


def stop_on_signals(exit_code: int = 0) -> asyncio.Event:
    """An event set by the first signal; the process then ends within CLOSE_WITHIN, or at a second.

    exit_code: of a process that had to be ended because a thread is inside one long call, such as
        a model load. It loses nothing: its job is pending in the store again.
    """
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            end(exit_code)
        log.info("stopping")
        stop.set()
        at_the_latest(lambda: end(exit_code))

    on_signals(asked, signal.SIGINT, signal.SIGTERM)
    return stop


def at_the_latest(finish: Callable[[], object]) -> None:
    """Call `finish`, in a thread, unless the process has ended within CLOSE_WITHIN."""
    deadline = threading.Timer(CLOSE_WITHIN, finish)
    deadline.daemon = True
    deadline.start()


def on_signals(action: Callable[[], None], *numbers: signal.Signals) -> None:
    """Call `action` in the running loop at each of these signals."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


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
