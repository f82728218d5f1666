"""Measure how long a GPU waits between two jobs: with the last one saved first, and meanwhile.

`python -m benchmarks.saving` runs the same jobs through the bot's queue, store, consumer and files
twice in each round, taking turns: *serial*, where a job begins once the one before is done, and
*overlapped*, as in the bot, where it begins once the engine has handed over the last image. The
engine is a stand-in that takes `--seconds` for an image without using the CPU, as a GPU would, and
hands over images of a true size with details of every scale. `--folder` is where the store and the
images are, to measure another disk. Returns 1 if the files of the two differ in a byte.

`--write` puts the table into docs/figures.md; `--quick` tests this script.
"""

import argparse
import asyncio
import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from PIL import Image

from benchmarks import machine
from benchmarks.page import FIGURES, write_into
from bot.engine.image_check import ImageCheck
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Progress
from bot.queue import JobQueue, Lane
from bot.recipe import Recipe, Weights
from bot.request import GenerationRequest
from bot.store import CommandLine, Job, NewJob, Store
from bot.worker.attempt import Attempt
from bot.worker.consumer import GpuConsumer
from bot.worker.image_check import Inspector
from bot.worker.notices import Notices
from bot.worker.results import Result
from bot.worker.workers import Workers
from catalog import Catalog, LiveCatalog, ModelEntry

SERIAL: Final = "serial"
OVERLAPPED: Final = "overlapped"
COUNTS: Final = (1, 4)
MODEL: Final = ModelEntry(key="demo", name="Demo", path="demo")
GRAIN: Final = 0.06
"""The share of fine noise in the images, which is what makes PNGs of photographs large."""


@cache
def picture(seed: int, side: int) -> PaintedImage:
    chance = random.Random(seed)
    coarse = Image.frombytes("RGB", (48, 48), chance.randbytes(48 * 48 * 3))
    fine = Image.frombytes("RGB", (side, side), chance.randbytes(side * side * 3))
    smooth = coarse.resize((side, side), Image.Resampling.BICUBIC)
    image = Image.blend(smooth, fine, GRAIN)
    return PaintedImage(seed, image, hashlib.sha256(image.tobytes()).hexdigest())


class Engine:
    """Takes `seconds` for an image, and notes when jobs began and ended."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began: list[float] = []
        self.ended: list[float] = []

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        self.began.append(time.perf_counter())
        request, images = order.request, []
        for n in range(request.count):
            time.sleep(self.seconds)
            images.append(picture(request.image_seed(n), request.width))
            painted(images[-1])
        recipe = Recipe(
            request=request,
            checkpoint=Weights("demo", "a" * 64, "a" * 10),
            adapters=(),
            scheduler={"class": request.scheduler},
            environment={},
        )
        self.ended.append(time.perf_counter())
        return Painting(tuple(images), recipe, ())

    def close(self) -> None: ...

    def prefetch(self, adapters: Sequence[Any]) -> None: ...

    def renew(self) -> bool:
        return False

    def gpu_memory(self) -> dict[str, int]:
        return {}

    @property
    def idle(self) -> list[float]:
        """Seconds between two jobs."""
        return [begun - end for end, begun in zip(self.ended, self.began[1:], strict=False)]


class SerialConsumer(GpuConsumer):
    """Takes the next job once the last one is done."""

    async def _save(self, running: Attempt, result: Result) -> None:
        await super()._save(running, result)
        await self._saver.idle()


CONSUMERS: Final = {SERIAL: SerialConsumer, OVERLAPPED: GpuConsumer}


class Counting:
    """A JobObserver that says when so many jobs are done."""

    def __init__(self, jobs: int) -> None:
        self._left = jobs
        self.all_done = asyncio.Event()

    def moved(self, places: dict[str, Progress]) -> None: ...

    def progressed(self, job: Job, progress: Progress) -> None: ...

    async def finished(self, job: Job) -> None:
        self._left -= 1
        if not self._left:
            self.all_done.set()

    async def failed(self, job: Job) -> None:
        raise RuntimeError(f"job {job.id}: {job.error}")


@dataclass(slots=True)
class Measured:
    """The rounds of one kind. minutes: for one job, each round's mean. idle: seconds."""

    idle: list[float] = field(default_factory=list)
    minutes: list[float] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    @property
    def rate(self) -> float:
        """Jobs per minute."""
        return 1 / statistics.median(self.minutes)


async def run(kind: str, count: int, jobs: int, engine: Engine, side: int, folder: Path) -> None:
    """Have `jobs` jobs of `count` images generated and saved in `folder`."""
    async with Store.open(folder / "imagen.sqlite3") as store:
        lane = Lane()
        queue, notices, observer = JobQueue(store, [lane]), Notices(), Counting(jobs)
        offered = Catalog({"demo": MODEL}, {}, "demo")

        async def knowing(*_: str | None) -> Catalog:
            return offered

        catalog = cast("LiveCatalog", SimpleNamespace(current=offered, knowing=knowing))
        consumer = CONSUMERS[kind](
            lane=lane,
            queue=queue,
            store=store,
            engine=cast("Any", engine),
            catalog=catalog,
            picture=lambda _: b"",
            observer=observer,
            notices=notices,
            inspector=Inspector(store, ImageCheck(folder), lambda: offered, "off"),
            withdrawn=set(),
            images_dir=folder / "images",
            timeout=600,
        )
        for number in range(jobs):
            request = GenerationRequest(
                prompt="x",
                negative="",
                model="demo",
                steps=30,
                guidance=7.5,
                seed=number * count,
                width=side,
                height=side,
                count=count,
                scheduler="Euler",
            )
            ticket = await queue.accept(NewJob(request=request, origin=CommandLine()))
            queue.release(ticket.job.id)
        async with Workers(queue, store, observer, notices, [consumer], set()).running():
            await observer.all_done.wait()


def measure(
    count: int, jobs: int, rounds: int, seconds: float, side: int, folder: Path | None
) -> dict[str, Measured]:
    """Both kinds in `rounds` rounds, each first in every other one."""
    for seed in range(jobs * count):
        picture(seed, side)
    measured = {kind: Measured() for kind in CONSUMERS}
    for number in range(rounds):
        kinds = [*CONSUMERS]
        for kind in kinds if number % 2 == 0 else reversed(kinds):
            with tempfile.TemporaryDirectory(prefix="imagen-saving-", dir=folder) as own:
                engine, begin = Engine(seconds), time.perf_counter()
                asyncio.run(run(kind, count, jobs, engine, side, Path(own)))
                found = measured[kind]
                found.minutes.append((time.perf_counter() - begin) / 60 / jobs)
                found.idle += engine.idle
                found.files.add(digest(Path(own) / "images"))
    return measured


def digest(folder: Path) -> str:
    """Of all files in `folder`, by their names and bytes; not of the jobs, which have new ids."""
    files = sorted(folder.rglob("*.png"), key=lambda file: file.name)
    every = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(every).encode()).hexdigest()


def table(found: dict[int, dict[str, Measured]]) -> str:
    """One row per count of images and kind, in Markdown."""
    rows = ["| images in a job | the next job begins | GPU idle between jobs | jobs a minute |"]
    rows.append("|---|---|---|---|")
    for count, measured in found.items():
        for kind, when in (
            (SERIAL, "once the last one is done"),
            (OVERLAPPED, "while it is saved"),
        ):
            idle, serial = (statistics.median(measured[one].idle) for one in (kind, SERIAL))
            rate = measured[kind].rate
            compared = "", ""
            if kind != SERIAL:
                compared = f" ({idle / serial:.2f}×)", f" ({rate / measured[SERIAL].rate:.2f}×)"
            rows.append(
                f"| {count} | {when} | {idle * 1000:.0f} ms{compared[0]}"
                f" | {rate:.1f}{compared[1]} |"
            )
    return "\n".join(rows)


def grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="for an image (default 1)")
    parser.add_argument("--side", type=int, default=1024, help="pixels (default 1024)")
    parser.add_argument("--jobs", type=int, default=6, help="of one image, in each round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="(default: for temporary files)")
    parser.add_argument("--quick", action="store_true", help="one round of small jobs")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 when a check failed."""
    options = grammar().parse_args(arguments)
    if options.quick:
        options.seconds, options.side, options.jobs, options.rounds = 0.05, 128, 3, 1
    found = {
        count: measure(
            count,
            max(3, options.jobs // count),
            options.rounds,
            options.seconds,
            options.side,
            options.folder,
        )
        for count in COUNTS
    }
    load = machine.load_average()
    said = "" if load is None else f" Load at the end: {load:.2f}."
    text = (
        f"{table(found)}\n\n"
        f"Medians of {options.rounds} rounds, in which both take turns; images of"
        f" {options.side}x{options.side}, for each of which the stand-in takes"
        f" {options.seconds:g} s. Measured on {machine.describe()}.{said}"
    )
    print(text)
    if options.write:
        write_into(FIGURES, "saving", text)
    differ = any(
        len(measured[SERIAL].files | measured[OVERLAPPED].files) != 1 for measured in found.values()
    )
    if differ:
        print("the files differ", file=sys.stderr)
    return int(differ)


if __name__ == "__main__":
    sys.exit(main())
