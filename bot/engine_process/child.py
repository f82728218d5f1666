"""What runs in an engine process: its engine in the main thread, and threads that listen meanwhile.

Lines, and what a library prints, go to the bot as well; nothing of them is written here.
"""

import ctypes
import faulthandler
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import BinaryIO, Final, NoReturn

from bot.engine import Engine
from bot.engine_process import frames, logs
from bot.engine_process.frames import Frame, Kind
from bot.engine_process.messages import (
    ADAPTERS,
    BEGIN,
    CALL,
    LOADED,
    MEASURED,
    MODEL,
    Call,
    Loaded,
    Measured,
)
from bot.errors import PaintStopped, StopReason, WireError
from bot.log import concerning
from bot.order import Order
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.wire import failures, orders, paintings, reports
from bot.wire.orders import SentOrder
from catalog import AdapterEntry, ModelEntry

log = logging.getLogger(__name__)

CONFUSED: Final = 70
"""The exit code if the bot sends what makes no sense: EX_SOFTWARE of sysexits.h."""
FRACTIONS: Final = 0.05
"""Seconds between two reports of how much of a file was read; there are thousands of them."""
_PR_SET_PDEATHSIG: Final = 1
_IGNORED: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""The bot is told to stop by them, and then stops this process in its own time."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call for the main thread. about: a model's entry for PRELOAD, an order for PAINT."""

    kind: Kind
    call: Call
    about: ModelEntry | Order | None = None


def main() -> None:
    """Generate what the other end of this process's pipes asks for, until it closes them."""
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    faulthandler.enable()
    stdin, stdout = _private_pipes()
    end_with_the_bot(stdin)
    Child(stdin, stdout).run()


def end_with_the_bot(stdin: BinaryIO) -> None:
    """Have Linux kill this process once the bot is gone. Elsewhere it ends by what it reads, which
    nobody does while the main thread is stuck in a driver and keeps the interpreter's lock.

    stdin: the pipe from the bot, which tells if that was gone before.
    """
    if sys.platform == "linux":
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        pipe = select.poll()
        pipe.register(stdin, 0)  # that it was hung up is always told
        if pipe.poll(0):
            _end(0)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes, at numbers that nothing else writes to: what is printed goes to stderr."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return stdin, stdout


class Child:
    """stdin, stdout: what comes from the bot, and what goes to it."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._writing = threading.Lock()
        self._asked: SimpleQueue[Asked] = SimpleQueue()
        self._stop = threading.Event()
        self._told = Loaded(None)
        self._texts = tuple[str, ...]()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._driver = ThreadPoolExecutor(1, thread_name_prefix="driver")

    def run(self) -> NoReturn:
        """Answer calls, one after the other, until the process ends."""
        first = frames.read(self._stdin)
        if first is None:
            _end(0)
        begin = BEGIN.decode(first.head)
        logs.set_up(lambda line: self._send(Kind.LOG, line), begin.levels, lambda: self._texts)
        engine = Engine(**begin.options.arguments())
        threading.Thread(target=self._listen, args=(engine,), daemon=True).start()
        while True:
            asked = self._asked.get()
            engine.preview_interval = asked.call.preview_interval
            with concerning(asked.call.job):
                self._answer(engine, asked)

    def _answer(self, engine: Engine, asked: Asked) -> None:
        texts = asked.about.request.texts if isinstance(asked.about, Order) else ()
        self._texts = tuple(texts)
        try:
            kind, head = self._done(engine, asked)
        except BaseException as error:
            kind, head = Kind.FAILED, failures.encode(error, texts)
        self._tell_loaded(engine)
        self._send(kind, head)

    def _done(self, engine: Engine, asked: Asked) -> tuple[Kind, bytes]:
        """Do what is asked for; returns the frame that says so."""
        match asked:
            case Asked(Kind.PAINT, _, Order() as order):
                report = self._reporting(engine)
                painting = engine.paint(order, report, self._check_stop, self._painted)
                return Kind.PAINTED, paintings.encode(painting)
            case Asked(Kind.PRELOAD, _, ModelEntry() as model):
                engine.preload(model, self._check_stop)
            case Asked(Kind.WARM_UP):
                engine.warm_up()
            case Asked(Kind.REST):
                engine.rest()
        return Kind.DONE, b""

    def _reporting(self, engine: Engine) -> Callable[[Progress], None]:
        last: tuple[Stage, str] | None = None
        due = 0.0

        def report(progress: Progress) -> None:
            nonlocal last, due
            about, now = (progress.stage, progress.subject), time.monotonic()
            if 0 < progress.fraction < 1 and about == last and now < due:
                return
            last, due = about, now + FRACTIONS
            self._tell_loaded(engine)
            self._send(Kind.REPORT, *reports.encode(progress))

        return report

    def _painted(self, image: PaintedImage) -> None:
        self._send(Kind.IMAGE, *paintings.encode_image(image))

    def _check_stop(self) -> None:
        if self._stop.is_set():
            # The bot knows why.
            raise PaintStopped(StopReason.CANCELLED)

    def _tell_loaded(self, engine: Engine) -> None:
        if (now := Loaded(engine.loaded, engine.environment)) != self._told:
            self._send(Kind.LOADED, LOADED.encode(now))
            self._told = now

    def _listen(self, engine: Engine) -> None:
        """Take what comes while the main thread is busy. At the end, the process ends."""
        try:
            while (frame := frames.read(self._stdin)) is not None:
                self._take(engine, frame)
        except WireError as error:
            log.error("%s", error)
            _end(CONFUSED)
        _end(0)

    def _take(self, engine: Engine, frame: Frame) -> None:
        match frame.kind:
            case Kind.STOP:
                self._stop.set()
            case Kind.PREFETCH:
                call, adapters = CALL.decode(frame.head), ADAPTERS.decode(frame.body)
                self._reader.submit(_fetch, engine, call.job, adapters)
            case Kind.MEASURE:
                self._driver.submit(self._measure, engine)
            case Kind.PAINT | Kind.PRELOAD | Kind.WARM_UP | Kind.REST:
                call = CALL.decode(frame.head)
                about = self._about(frame)
                # Before the main thread can begin it, and after it has ended the one before.
                self._stop.clear()
                self._asked.put(Asked(frame.kind, call, about))
            case kind:
                raise WireError(f"frame: {kind.name}: allowed is none now")

    def _about(self, frame: Frame) -> ModelEntry | Order | None:
        match frame.kind:
            case Kind.PRELOAD:
                return MODEL.decode(frame.body)
            case Kind.PAINT:
                sent = orders.decode(frame.body)
                return sent.with_pictures(self._pictures(sent))
            case _:
                return None

    def _pictures(self, sent: SentOrder) -> dict[str, bytes]:
        pictures = {}
        for sha256 in dict.fromkeys(sent.request.inputs):
            frame = frames.read(self._stdin)
            if frame is None or frame.kind is not Kind.PICTURE:
                raise WireError(f"picture {sha256}: it was not sent")
            pictures[sha256] = frame.body
        return pictures

    def _measure(self, engine: Engine) -> None:
        try:
            measured = Measured(engine.gpu_memory(), "")
        except Exception as error:  # the driver's
            measured = Measured({}, type(error).__name__)
        self._send(Kind.MEASURED, MEASURED.encode(measured))

    def _send(self, kind: Kind, head: bytes = b"", body: bytes = b"") -> None:
        try:
            with self._writing:
                frames.write(self._stdout, Frame(kind, head, body))
        except OSError:  # the bot has ended
            _end(0)


def _fetch(engine: Engine, job: str, adapters: tuple[AdapterEntry, ...]) -> None:
    with concerning(job):
        try:
            engine.prefetch(adapters)
        except Exception:
            # A failure only costs the time that it would have saved.
            log.exception("reading ahead failed")


def _end(code: int) -> NoReturn:
    """At once, because the main thread may be busy for long."""
    os._exit(code)
