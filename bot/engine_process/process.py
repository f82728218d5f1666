"""EngineProcess: one process with an engine, from start to end."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, Full, Queue
from typing import IO, BinaryIO, Final, cast

from bot.engine_process import frames, logs
from bot.engine_process.environment import environment, placed
from bot.engine_process.frames import ENDING, OF_A_CALL, Frame, Kind
from bot.engine_process.messages import BEGIN, LOADED, MEASURED, Begin, Measured
from bot.engine_process.printed import LINE_MAX, overhear
from bot.errors import WireError
from bot.log import concerning
from bot.recipe import Environment
from bot.wire.failures import RaisedElsewhere
from bot.wire.options import EngineOptions

log = logging.getLogger(__name__)

AHEAD: Final = 8
"""Frames that wait to be taken; further ones wait in the pipe."""
TICK: Final = 0.1
"""Seconds after which whoever waits looks around."""
REAPING: Final = 5.0
"""Seconds that a process has to end after it has closed a pipe."""
MEASURING: Final = 2.0
"""Seconds within which the GPU's memory has to be told."""
_ITS_OWN: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP")
    if hasattr(signal, name)
)
"""Signals that a process brings upon itself."""


class Ended(Exception):
    """The process has ended, or was ended since what it sent made no sense. The text says how.

    own: whether it surely was what the process itself did.
    """

    def __init__(self, text: str, *, own: bool) -> None:
        super().__init__(text)
        self.own = own


class EngineProcess:
    """Starts when created. `kill` may be called in any thread, and so may `measure`.

    name: of its lane, for the log and the list of processes. module: what runs in it.
    Raises OSError if it cannot be started.
    """

    def __init__(self, name: str, module: str, options: EngineOptions) -> None:
        self.loaded: str | None = None
        self.environment = Environment()
        self._name = name
        self._job, self._texts = "", tuple[str, ...]()
        self._private = False  # whether it was ever given a text
        self._answers: Queue[Frame | None] = Queue(AHEAD)
        self._measured: Queue[Measured] = Queue(1)
        self._measuring = threading.Lock()
        self._writing = threading.Lock()
        self._in_call = False
        self._fault: WireError | None = None
        self._dying = threading.Lock()
        self._given_up = threading.Event()
        self._over = threading.Event()
        self._begun = threading.Event()
        options, variables = placed(options, environment())
        # -P: not whatever module is in the current folder
        command = [sys.executable, "-P", "-m", module, name]
        started: Future[subprocess.Popen[bytes]] = Future()
        live = partial(self._live, command, variables, started)
        threading.Thread(target=live, daemon=True).start()
        self._process = process = started.result()
        assert process.stdin is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        self._stdin = cast("BinaryIO", process.stdin)
        self._begun.set()
        threading.Thread(target=self._overhear, args=(process.stderr,), daemon=True).start()
        log.info("%s: its engine runs as process %d", name, self.pid)
        self._send_first(options)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._over.is_set() or self._given_up.is_set()

    def begin(self, job: str, texts: Collection[str]) -> None:
        """A call begins, which lasts until a frame of ENDING. job: whose it is, which what it
        prints concerns. texts: what no line that is logged from now on may have."""
        self._job, self._texts = job, tuple(texts)
        self._private = self._private or bool(texts)
        self._in_call = True

    def send(self, kind: Kind, head: bytes = b"", body: bytes = b"") -> None:
        """Blocks while its pipe is full. Raises Ended."""
        try:
            with self._writing:
                frames.write(self._stdin, Frame(kind, head, body))
        except (OSError, ValueError):  # it has ended, or the pipe is closed
            raise self.ended() from None

    def offer(self, kind: Kind, head: bytes = b"", body: bytes = b"") -> None:
        """Send what can be left out, unless a larger frame is on its way. Raises Ended."""
        if self._writing.acquire(blocking=False):
            self._writing.release()
            self.send(kind, head, body)

    def next(self) -> Frame | None:
        """Its next frame of a call; None after a TICK without one. Raises Ended."""
        try:
            frame = self._answers.get(timeout=TICK)
        except Empty:
            frame = None
        if frame is None and self.gone and self._answers.empty():
            raise self.ended()
        return frame

    def measure(self) -> dict[str, int]:
        """See `Engine.gpu_memory`; empty if it does not answer. Raises RaisedElsewhere."""
        with self._measuring:
            with suppress(Empty):
                self._measured.get_nowait()
            try:
                self.offer(Kind.MEASURE)
                measured = self._measured.get(timeout=MEASURING)
            except (Empty, Ended):
                return {}
        if measured.problem:
            raise RaisedElsewhere(measured.problem)
        return measured.sizes

    def kill(self) -> None:
        """End it at once, and whatever it has started. Any thread; does not wait."""
        self._given_up.set()
        if self._dying.acquire(blocking=False):  # else that is being done
            if not self._over.is_set():
                self._kill()
            self._dying.release()

    def end(self, grace: float) -> None:
        """Have it end by itself within `grace` seconds, or else kill it; waits as long again."""
        self._given_up.set()
        self._close(TICK)
        if not self._over.wait(grace):
            self.kill()
            if not self._over.wait(grace):
                log.error("%s: its engine process %d cannot be ended", self._name, self.pid)

    def ended(self) -> Ended:
        """How it ended. One that does not end by itself now is killed."""
        if self._given_up.is_set():
            return Ended("its engine process was given up", own=False)
        if not self._over.wait(REAPING):
            self.kill()
            return Ended("its engine process no longer listens", own=False)
        code = self._process.returncode
        if self._fault is not None:
            return Ended(f"its engine process was ended: {self._fault}", own=False)
        if code >= 0:
            return Ended(f"its engine process ended with exit code {code}", own=False)
        name = signal.strsignal(-code) or "unknown"
        return Ended(f"its engine process ended by signal {-code}: {name}", own=-code in _ITS_OWN)

    def _send_first(self, options: EngineOptions) -> None:
        with suppress(Ended):  # the first call tells how
            self.send(Kind.BEGIN, BEGIN.encode(Begin(options, logs.levels())))

    def _live(
        self,
        command: list[str],
        variables: dict[str, str],
        started: Future[subprocess.Popen[bytes]],
    ) -> None:
        """In a thread that is there as long as the process: Linux ends that with the thread which
        started it, see `child.end_with_the_bot`."""
        try:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                start_new_session=True,  # the terminal's signals are for the bot alone
            )
        except BaseException as error:
            started.set_exception(error)
            return
        assert process.stdout is not None  # noqa: S101
        started.set_result(process)
        self._begun.wait()
        self._listen(process.stdout)

    def _listen(self, stream: IO[bytes]) -> None:
        """Take all that it sends, until it ends."""
        try:
            with stream:
                while (frame := frames.read(cast("BinaryIO", stream))) is not None:
                    self._take(frame)
        except WireError as fault:
            self._fault = fault
            log.error("%s: its engine process makes no sense: %s", self._name, fault)
        finally:
            self._reap()

    def _take(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.LOG:
                logs.handle(frame.head, self._texts)
            case Kind.LOADED:
                told = LOADED.decode(frame.head)
                self.loaded, self.environment = told.key, told.environment
            case Kind.MEASURED:
                with suppress(Full):
                    self._measured.put_nowait(MEASURED.decode(frame.head))
            case kind if kind in OF_A_CALL and self._in_call:
                self._in_call = kind not in ENDING
                self._answer(frame)
            case kind:
                raise WireError(f"frame: {kind.name}: allowed is none now")

    def _answer(self, frame: Frame) -> None:
        while not self._given_up.is_set():
            with suppress(Full):
                self._answers.put(frame, timeout=TICK)
                return

    def _reap(self) -> None:
        """It has closed its output: end what is left of it."""
        with self._dying:
            # Its number is nobody else's as long as it was not waited for.
            self._kill()
            self._process.wait()
            self.loaded = None
            self._over.set()
        with suppress(Full):
            self._answers.put_nowait(None)
        self._close(TICK)

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:  # Windows
                self._process.kill()

    def _close(self, wait: float) -> None:
        """Close its input, unless somebody is writing to it for so many seconds."""
        if self._writing.acquire(timeout=wait):
            with suppress(OSError):
                self._stdin.close()
            self._writing.release()

    def _overhear(self, stream: IO[bytes]) -> None:
        """Log what it prints."""
        with stream:
            while line := stream.readline(LINE_MAX):
                with concerning(self._job):
                    overhear(self._name, line, private=self._private)
