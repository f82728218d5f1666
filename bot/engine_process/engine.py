"""ProcessEngine: an engine in a process of its own, with the interface of one in this."""

import logging
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Final, TypeVar

from bot.engine_process.frames import ENDING, Frame, Kind
from bot.engine_process.messages import ADAPTERS, CALL, MODEL, Call
from bot.engine_process.process import Ended, EngineProcess
from bot.errors import EngineLost, Loss, PaintStopped, WireError
from bot.log import current_job
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting, unheard
from bot.progress import Progress
from bot.recipe import Environment
from bot.texts.language import Texts
from bot.wire import failures, orders, paintings, reports
from bot.wire.options import EngineOptions
from catalog import AdapterEntry, ModelEntry

log = logging.getLogger(__name__)

MODULE: Final = "bot.engine_process"
GRACE: Final = 0.5
"""Seconds that a process has to end by itself. It has nothing to save."""

T = TypeVar("T")


def _no_stop() -> None:
    """For calls that nothing stops."""


def _no_frame(frame: Frame) -> None:
    raise WireError(f"frame: {frame.kind.name}: allowed is none in this call")


def _done(frame: Frame) -> None:
    if frame.kind is not Kind.DONE:
        _no_frame(frame)


class ProcessEngine:
    """Like `bot.engine.Engine`, but it can be renewed.

    Its process is started when it is first needed, and again by the next call after it has ended;
    how soon to call it again is for the caller to say. name: of its lane. module: what is run as
    the process.
    """

    def __init__(self, options: EngineOptions, name: str, *, module: str = MODULE) -> None:
        self.preview_interval = options.preview_interval
        self._options = options
        self._name = name
        self._module = module
        self._process: EngineProcess | None = None
        self._renewed: EngineProcess | None = None

    @property
    def environment(self) -> Environment:
        """As of an Engine. Any thread."""
        process = self._process
        return process.environment if process else Environment()

    @property
    def loaded(self) -> str | None:
        """Key of the model in memory. Any thread."""
        process = self._process
        return process.loaded if process else None

    @property
    def pid(self) -> int | None:
        """Of its process; None if there is none. Any thread."""
        process = self._process
        return None if process is None or process.gone else process.pid

    def gpu_memory(self) -> dict[str, int]:
        """As of an Engine; empty while there is no process, or if it does not answer in time."""
        process = self._process
        return {} if process is None or process.gone else process.measure()

    def warm_up(self) -> None:
        """Start the process, and have it import torch and the other libraries."""
        self._call(Kind.WARM_UP, b"", _done)

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None:
        """As of an Engine."""
        self._call(Kind.PRELOAD, MODEL.encode(model), _done, check_stop=check_stop)

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted = unheard,
    ) -> Painting:
        """As of an Engine, with `check_stop` called ten times a second and with each report.

        Raises EngineLost if the process ends, or sends what makes no sense, and RaisedElsewhere for
        what nobody expected there.
        """
        images: dict[str, PaintedImage] = {}

        def take(frame: Frame) -> None:
            match frame.kind:
                case Kind.REPORT:
                    report(reports.decode(frame.head, frame.body))
                case Kind.IMAGE:
                    header = paintings.decode_header(frame.head, order.request)
                    image = paintings.decode_image(header, frame.body)
                    images[image.pixels_sha256] = image
                    painted(image)
                case _:
                    _no_frame(frame)

        def result(frame: Frame) -> Painting:
            if frame.kind is not Kind.PAINTED:
                _no_frame(frame)
            sent = paintings.decode(frame.head, order.request, self._sentences)
            return sent.with_images(images)

        pictures = [order.pictures[sha256] for sha256 in dict.fromkeys(order.request.inputs)]
        return self._call(
            Kind.PAINT,
            orders.encode(order),
            result,
            pictures=pictures,
            take=take,
            check_stop=check_stop,
            texts=order.request.texts,
        )

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        """As of an Engine, but without waiting for it. Any thread."""
        process = self._process
        if process is not None:
            try:
                process.offer(Kind.PREFETCH, self._who(), ADAPTERS.encode(tuple(adapters)))
            except Ended as ended:
                log.info("%s: nothing is read ahead: %s", self._name, ended)

    def rest(self) -> None:
        """As of an Engine."""
        process = self._process
        if process is not None and not process.gone:
            self._call(Kind.REST, b"", _done)

    def renew(self) -> bool:
        """Kill the process: a call that waits for it raises EngineLost, the next starts another."""
        process = self._process
        if process is not None and not process.gone:
            self._renewed = process
            process.kill()
        return True

    def close(self) -> None:
        """End the process; a later call starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.end(GRACE)

    @cached_property
    def _sentences(self) -> Texts:
        return Texts.read()

    def _who(self) -> bytes:
        return CALL.encode(Call(current_job(), self.preview_interval))

    def _call(
        self,
        kind: Kind,
        body: bytes,
        result: Callable[[Frame], T],
        *,
        pictures: Sequence[bytes] = (),
        take: Callable[[Frame], None] = _no_frame,
        check_stop: Callable[[], None] = _no_stop,
        texts: Collection[str] = (),
    ) -> T:
        """Have the process do something; blocks until it has.

        result: of the frame that ends the call. take: gets each one before it. What `take` and
        `check_stop` raise stops the call, and is raised once it has stopped.
        """
        process = self._started()
        process.begin(current_job(), texts)
        stopped: BaseException | None = None
        try:
            process.send(kind, self._who(), body)
            for picture in pictures:
                process.send(Kind.PICTURE, b"", picture)
            frame, stopped = self._followed(process, take, check_stop)
            if frame.kind is Kind.FAILED:
                raise failures.decode(frame.head, self._sentences)
            returned = result(frame)
        except (Ended, WireError) as fault:
            raise self._lost(process, fault) from fault
        except EngineLost:
            self._give_up(process)
            raise
        except PaintStopped:
            if stopped is None:
                raise
        else:
            # It may have come to its end before it heard that it should stop.
            if stopped is None or isinstance(stopped, PaintStopped):
                return returned
        raise stopped

    def _followed(
        self,
        process: EngineProcess,
        take: Callable[[Frame], None],
        check_stop: Callable[[], None],
    ) -> tuple[Frame, BaseException | None]:
        """The frame that ends a call, and what stopped it before, if anything did."""
        stopped: BaseException | None = None
        while True:
            frame = process.next()
            if frame is not None and frame.kind in ENDING:
                return frame, stopped
            try:
                if frame is not None:
                    take(frame)
                if stopped is None:
                    check_stop()
            except WireError:
                raise
            except BaseException as error:
                if stopped is None:
                    process.send(Kind.STOP)
                    stopped = error

    def _started(self) -> EngineProcess:
        """Its process; a new one if there is none, or the one before has ended."""
        process = self._process
        if process is not None and process.gone:
            log.warning("%s: %s; another is started", self._name, process.ended())
            self._give_up(process)
        if self._process is None:
            self._process = EngineProcess(self._name, self._module, self._options)
        return self._process

    def _lost(self, process: EngineProcess, fault: Ended | WireError) -> EngineLost:
        """What is raised when `process` can no longer be used."""
        self._give_up(process)
        if self._renewed is process:
            return EngineLost(Loss.HUNG, f"{self._name}: {fault}")
        if isinstance(fault, Ended):
            return EngineLost(Loss.DIED, f"{self._name}: {fault}", sure=fault.own)
        text = f"{self._name}: its engine process was ended: {fault}"
        return EngineLost(Loss.DIED, text, sure=False)

    def _give_up(self, process: EngineProcess) -> None:
        process.kill()
        self._process = None
