"""Measure the lag of the bot's event loop: idle, importing torch, generating.

`python -m benchmarks.lag` runs the product's backend, queue, worker and engine with the settings
from the environment and a ticker on the same loop, and prints one JSON object.
`benchmarks.responsiveness` runs it in a separate process, so that torch is not imported yet.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.spread import percentile
from bot.backend import Backend
from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from bot.recipe import Environment
from bot.request import Draft, compose
from bot.settings import Settings
from bot.store import CommandLine, Job, NewJob
from bot.worker.engine import ImageEngine
from catalog import AdapterEntry, ModelEntry

TICK = 0.005
QUIET = 1.0
"""Seconds before the first phase, so that what the loop does at start-up is not counted."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Milliseconds by which the ticker woke too late, in one phase of `seconds`."""

    seconds: float
    ticks: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Lags:
    """One Lag per phase.

    first_job: includes loading the model. rereading: reloading a changed catalog while generating.
    """

    idle: Lag
    importing: Lag
    first_job: Lag
    painting: Lag
    rereading: Lag

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**{name: Lag(**fields) for name, fields in json.loads(text).items()})


class Ticker:
    """Sleeps for TICK seconds at a time and records how much too late it wakes."""

    def __init__(self) -> None:
        self._lags: list[tuple[float, float]] = []

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            now = time.perf_counter()
            self._lags.append((now, (now - due) * 1000))

    def between(self, begin: float, end: float) -> Lag:
        """The lag between two `time.perf_counter` readings; a stall counts where it ended."""
        lags = [lag for at, lag in self._lags if begin <= at <= end + 2 * TICK]
        return Lag(end - begin, len(lags), percentile(lags, 0.5), percentile(lags, 0.99), max(lags))


class TimedEngine:
    """The engine, with a future of the times when the import of torch began and ended."""

    def __init__(self, engine: ImageEngine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self.importing: asyncio.Future[tuple[float, float]] = self._loop.create_future()

    def warm_up(self) -> None:
        begin = time.perf_counter()
        self._engine.warm_up()
        spent = (begin, time.perf_counter())
        self._loop.call_soon_threadsafe(self.importing.set_result, spent)

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None:
        self._engine.preload(model, check_stop)

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        self._engine.prefetch(adapters)

    preview_interval: float | None = None

    @property
    def environment(self) -> Environment:
        return self._engine.environment

    @property
    def loaded(self) -> str | None:
        return self._engine.loaded

    def gpu_memory(self) -> dict[str, int]:
        return self._engine.gpu_memory()

    def renew(self) -> bool:
        return self._engine.renew()

    def rest(self) -> None:
        self._engine.rest()

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        return self._engine.paint(order, report, check_stop, painted)

    def close(self) -> None:
        self._engine.close()


class Audience:
    """A JobObserver that waits for each job's end."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[Job] = asyncio.Queue()

    def moved(self, places: dict[str, Progress]) -> None:
        """Do nothing."""

    def progressed(self, job: Job, progress: Progress) -> None:
        """Do nothing."""

    async def finished(self, job: Job) -> None:
        self.ended.put_nowait(job)

    async def failed(self, job: Job) -> None:
        self.ended.put_nowait(job)


async def measure(settings: Settings, seconds: float) -> Lags:
    """Run all phases: each lasts `seconds` or a little more, except those that happen once."""
    ticker, audience = Ticker(), Audience()
    ticking = asyncio.create_task(ticker.run())
    async with Backend.open(settings) as opened:
        [(lane, own)] = opened.lanes
        engine = TimedEngine(own)
        backend = replace(opened, lanes=((lane, engine),))
        workers = backend.workers(audience)
        async with backend.generating(workers):
            await asyncio.sleep(QUIET)
            marks = [time.perf_counter()]
            await asyncio.sleep(seconds)
            marks.append(time.perf_counter())

            workers.warm_up()
            importing = await engine.importing

            marks.append(time.perf_counter())
            await _paint(backend, audience)
            marks.append(time.perf_counter())
            while time.perf_counter() < marks[-1] + seconds:
                await _paint(backend, audience)
            marks.append(time.perf_counter())

            before = backend.catalog.current
            _touch(settings.catalog_dir / "loras.toml")
            while backend.catalog.current is before:
                await _paint(backend, audience)
            marks.append(time.perf_counter())
            await asyncio.sleep(4 * TICK)
    ticking.cancel()
    return Lags(
        idle=ticker.between(marks[0], marks[1]),
        importing=ticker.between(*importing),
        first_job=ticker.between(marks[2], marks[3]),
        painting=ticker.between(marks[3], marks[4]),
        rereading=ticker.between(marks[4], marks[5]),
    )


async def _paint(backend: Backend, audience: Audience) -> None:
    draft = Draft(prompt="a lighthouse in heavy rain", model="demo", steps=100)
    request = compose(draft, backend.catalog.current, nsfw=False)
    async with backend.queue.accepting(NewJob(request=request, origin=CommandLine())):
        pass
    job = await audience.ended.get()
    if job.error:
        raise SystemExit(f"The benchmark's job failed: {job.error}")


def _touch(file: Path) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write("\n# changed\n")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of each phase")
    options = parser.parse_args(arguments)
    print(json.dumps(asdict(asyncio.run(measure(Settings.load(), options.seconds)))))


if __name__ == "__main__":
    main()
