"""An engine that does what tests tell it to, and an observer that records everything."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Queue

from bot.order import Order
from bot.painting import OnPainted, Painting, unheard
from bot.progress import Progress
from bot.recipe import Environment
from bot.request import GenerationRequest
from bot.store import Job
from catalog import AdapterEntry, Catalog, ModelEntry
from tests.store.factories import painting

MODEL = ModelEntry(key="demo", name="Demo", path="demo")
ADAPTERS = {key: AdapterEntry(key=key, name=key, path=key) for key in ("ink", "fine")}
CATALOG = Catalog({"demo": MODEL}, ADAPTERS, "demo")

Report = Callable[[Progress], None]
CheckStop = Callable[[], None]
Work = Callable[[GenerationRequest, Report, CheckStop], Painting]


def paint_at_once(asked: GenerationRequest, report: Report, check_stop: CheckStop) -> Painting:
    check_stop()
    return painting(asked)


class FakeEngine:
    """`work` is what the next paint does, in the engine thread."""

    loaded: str | None = None
    environment = Environment()
    preview_interval: float | None = None

    def __init__(self, work: Work = paint_at_once) -> None:
        self.work = work
        self.threads: list[str] = []
        self.closed = self.warm = False
        self.preloading: Callable[[CheckStop], object] = lambda _: None
        self.rested = threading.Event()
        self.fetched: Queue[tuple[str, list[str]]] = Queue()
        self.orders: list[Order] = []
        self.painted: OnPainted = unheard

    def warm_up(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.warm = True

    def preload(self, model: ModelEntry, check_stop: CheckStop) -> None:
        assert model == MODEL
        self.threads.append(threading.current_thread().name)
        self.preloading(check_stop)

    def paint(
        self, order: Order, report: Report, check_stop: CheckStop, painted: OnPainted
    ) -> Painting:
        self.painted = painted
        self.threads.append(threading.current_thread().name)
        self.orders.append(order)
        return self.work(order.request, report, check_stop)

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        keys = [entry.key for entry in adapters]
        self.fetched.put((threading.current_thread().name, keys))

    def rest(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.rested.set()

    def gpu_memory(self) -> dict[str, int]:
        return {}

    def renew(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


@dataclass
class Watcher:
    """A JobObserver that records everything."""

    finished_jobs: list[Job] = field(default_factory=list)
    failed_jobs: list[Job] = field(default_factory=list)
    reports: list[tuple[str, Progress]] = field(default_factory=list)
    places: list[list[str]] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def moved(self, places: dict[str, Progress]) -> None:
        self.places.append([*places])
        self.news.set()

    def progressed(self, job: Job, progress: Progress) -> None:
        self.threads.add(threading.get_ident())
        self.reports.append((job.id, progress))
        self.news.set()

    async def finished(self, job: Job) -> None:
        self.finished_jobs.append(job)
        self.news.set()

    async def failed(self, job: Job) -> None:
        self.failed_jobs.append(job)
        self.news.set()

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not happened():
                self.news.clear()
                await self.news.wait()


async def eventually(condition: Callable[[], bool]) -> None:
    """For state that no observer is told of."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
