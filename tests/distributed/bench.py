"""Workers with an engine that only takes its time, and the bot's end of them."""

import asyncio
import io
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from bot.distributed import announcement, keys
from bot.distributed.announcement import Announcement, DeviceState
from bot.distributed.broker import Broker
from bot.distributed.device import Complete
from bot.distributed.localising import SCHEME
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.distributed.worker import Equipment, Worker
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Progress, Stage
from bot.recipe import Environment
from bot.request import GenerationRequest
from catalog import AdapterEntry, ModelEntry
from tests.language import TEXTS
from tests.store.factories import painting, request

PACE = Pace(beat=0.2, silence=3.0, refresh=0.05, kept=60.0)
"""Fast, but with room for a busy machine."""
BRIEF = Pace(beat=0.2, silence=1.5, refresh=0.05, kept=60.0)
"""For what is to be lost."""
LONG = 2_000
"""Steps of a job that does not end by itself."""
STATE = DeviceState("cpu")
MODEL = ModelEntry(key="demo", name="Demo", path="demo")
INK = AdapterEntry(key="ink", name="Ink", path="ink")


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def order(name: str = "a1b2:1", **fields: Any) -> Order:
    return Order(request(**fields), MODEL, (INK,), name=name)


def jpeg() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(data, "JPEG")
    return data.getvalue()


class SteppingEngine:
    """Generates noise from the seed, in steps that take `seconds`.

    raises: instead of an image.
    """

    def __init__(self, seconds: float = 0.0, raises: Exception | None = None) -> None:
        self.preview_interval: float | None = None
        self.loaded: str | None = None
        self.environment = Environment()
        self.raises = raises
        self.seconds = seconds
        self.orders: list[Order] = []
        self.steps = 0
        self.stopped: BaseException | None = None
        self.began = threading.Event()
        self.ended = threading.Event()

    def warm_up(self) -> None: ...

    def gpu_memory(self) -> dict[str, int]:
        return {}

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None: ...

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        self.orders.append(order)
        self.began.set()
        steps = order.request.steps
        try:
            for step in range(steps):
                check_stop()
                preview = jpeg() if self.preview_interval is not None else None
                report(Progress(Stage.PAINTING, step=step + 1, steps=steps, preview=preview))
                self.steps += 1
                time.sleep(self.seconds)
            check_stop()
        except BaseException as stopped:
            self.stopped = stopped
            raise
        finally:
            self.ended.set()
        if self.raises is not None:
            raise self.raises
        self.loaded = order.request.model
        return honest(painting(order.request), order)

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None: ...

    def rest(self) -> None: ...

    def renew(self) -> bool:
        return False

    def close(self) -> None: ...


def honest(done: Painting, order: Order) -> Painting:
    """With the weights of an order that names them by what is in them, each a file."""
    used = done.recipe.checkpoint
    if used is None or order.model is None or not order.model.path.startswith(SCHEME):
        return done
    used = replace(used, sha256=order.model.path.removeprefix(SCHEME))
    return replace(done, recipe=replace(done.recipe, checkpoint=used))


def as_it_is(order: Order, _: object, __: object) -> AbstractContextManager[Order]:
    return nullcontext(order)


def none() -> frozenset[str]:
    return frozenset()


def worker(
    url: str,
    *engines: SteppingEngine,
    name: str = "one",
    pace: Pace = PACE,
    complete: Complete = as_it_is,
    digests: Callable[[], frozenset[str]] = none,
    fetches: bool = False,
    preload: Callable[[], None] = lambda: None,
) -> Worker:
    def equipment(engine: SteppingEngine) -> Equipment:
        return Equipment(engine, lambda: DeviceState("cpu", loaded=engine.loaded), preload)

    return Worker(
        name=name,
        broker=Broker.at(url),
        equipment=[equipment(engine) for engine in engines],
        complete=complete,
        digests=digests,
        downloads=lambda: 0,
        fetches=fetches,
        libraries={"torch": "2.13.0"},
        timeout=600,
        pace=pace,
    )


@asynccontextmanager
async def working(work: Worker) -> AsyncIterator[asyncio.Event]:
    """Run it while the block lasts, and stop it as SIGTERM does; setting the event does so too."""
    stop = asyncio.Event()
    task = asyncio.create_task(work.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await task


@dataclass
class Painted:
    """What the bot's end has heard of an order."""

    reports: list[Progress] = field(default_factory=list)
    images: list[PaintedImage] = field(default_factory=list)


class Lane:
    """A RemoteEngine in its thread, as a consumer has it."""

    def __init__(self, engine: RemoteEngine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(1)

    async def paint(
        self,
        order: Order,
        heard: Painted | None = None,
        check_stop: Callable[[], None] = lambda: None,
    ) -> Painting:
        into = heard or Painted()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread,
            lambda: self.engine.paint(order, into.reports.append, check_stop, into.images.append),
        )

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self.engine.close)
        self._thread.shutdown()


async def announced(url: str, name: str = "one", *, after: str = "") -> Announcement:
    """What the worker says of itself, as soon as it does. after: a session that it no longer is."""
    client = Broker.at(url).client(PACE)
    try:
        async with asyncio.timeout(20):
            while True:
                said = await client.get(keys.announced(name))
                if said:
                    found = announcement.decode(said)
                    if isinstance(found, Announcement) and found.session != after:
                        return found
                await asyncio.sleep(0.05)
    finally:
        await client.aclose()


@asynccontextmanager
async def lane_to(
    url: str, name: str = "one", number: int = 0, pace: Pace = PACE, previews: float | None = None
) -> AsyncIterator[Lane]:
    """The bot's end of a worker's device. url: the bot may have another way to the broker."""
    said = await announced(url, name)
    queue = keys.queue(name, said.session, number)
    async with as_lane(
        RemoteEngine(Broker.at(url), queue, STATE, TEXTS, pace, preview_interval=previews)
    ) as lane:
        yield lane


@asynccontextmanager
async def as_lane(engine: RemoteEngine) -> AsyncIterator[Lane]:
    lane = Lane(engine)
    try:
        yield lane
    finally:
        await lane.close()


def expected(asked: GenerationRequest) -> list[str]:
    return [each.pixels_sha256 for each in painting(asked).images]
