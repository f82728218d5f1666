"""Stops on SIGINT and SIGTERM within seconds, even if a thread is busy."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

log = logging.getLogger(__name__)

CLOSE_WITHIN = 4.5
"""Seconds from a signal, or from losing the engine, to the end of the process."""


def stop_on_signals(exit_code: int = 0, within: float = CLOSE_WITHIN) -> asyncio.Event:
    """An event that the first signal sets. The process ends `within` seconds later, or at a second
    signal.

    The signals are SIGINT, SIGTERM and, unless it is ignored (`nohup`), SIGHUP of a terminal that
    closes.

    exit_code: used if the process must be killed because a thread is in one long call, such as a
        model load. Nothing is lost: its job is pending in the store again.
    """
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            end(exit_code)
        log.info("stopping")
        stop.set()
        at_the_latest(lambda: end(exit_code), within)

    on_signals(asked, signal.SIGINT, signal.SIGTERM, *_hang_up())
    return stop


def stop_this_process() -> None:
    """Stop as if the system had asked for it."""
    signal.raise_signal(signal.SIGTERM)


def _hang_up() -> Iterator[signal.Signals]:
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def at_the_latest(finish: Callable[[], object], within: float = CLOSE_WITHIN) -> None:
    """Call `finish` in a thread after `within` seconds, unless the process has ended before."""
    deadline = threading.Timer(within, finish)
    deadline.daemon = True
    deadline.start()


def on_signals(action: Callable[[], None], *numbers: signal.Signals) -> None:
    """Call `action` in the running loop on each of these signals."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


def unread() -> int:
    """The exit code after our output pipe was closed, for example by `| head`: that of SIGPIPE.

    Redirects stdout to the null device, or the interpreter would report an error when it exits.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


def leave(exit_code: int) -> NoReturn:
    """Exit, skipping the interpreter's shutdown if daemon threads are running.

    The shutdown would pull the interpreter from under them, and torch's compiler then crashes the
    process.
    """
    if any(thread.daemon and type(thread) is threading.Thread for thread in threading.enumerate()):
        end(exit_code)
    sys.exit(exit_code)


def end(exit_code: int) -> NoReturn:
    """End the process at once, even if threads are busy."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(exit_code)
