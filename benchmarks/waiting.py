"""Measure how long the event loop is held after a start with a long queue:
`python -m benchmarks.waiting`.

Starts the real bot process against a stand-in for Discord on 127.0.0.1 (`playground/`) with 10,000
jobs waiting, of 500 people in three servers, and watches its event loop from the first moment on,
for a minute after it is online.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import bot.cli.run
import bot.serve.core
from benchmarks.bot_process import ROOT, Home, bot_process, playground, write_catalog
from benchmarks.rush import WAITING
from bot.settings import Settings
from bot.store import Discord, NewJob, Store
from bot.worker.recovery import LeftBehind
from cogs import EXTENSIONS

PEOPLE = 500
SERVERS = 3
JOBS = 10_000
SECONDS = 60.0
TICK = 0.005
REPORT = "BENCHMARK_REPORT"
"""The variable that tells the watched process where to write what it has seen."""


@dataclass(frozen=True, slots=True)
class Held:
    """What was seen of one start, in milliseconds.

    ready_ms: for taking up all jobs, until the first could begin. held_ms: the longest that the
    event loop's thread computed without a turn for others; what other threads compute does not
    count. late_ms: the latest that a turn came, which includes waiting for the processor.
    """

    ready_ms: float
    held_ms: float
    late_ms: float


class Watch:
    """Looks at the loop that it runs on every TICK seconds."""

    def __init__(self) -> None:
        self.held = self.late = 0.0

    async def run(self) -> None:
        while True:
            due, spent = time.perf_counter() + TICK, time.thread_time()
            await asyncio.sleep(TICK)
            self.held = max(self.held, time.thread_time() - spent)
            self.late = max(self.late, time.perf_counter() - due)


def fill(path: Path, jobs: int) -> None:
    """Store `jobs` waiting jobs; each has a message on Discord, which is gone by now."""

    async def accept_all() -> None:
        draw = random.Random(1)
        async with Store.open(path) as store:
            for number in range(jobs):
                person = draw.randrange(PEOPLE)
                origin = Discord(
                    user_id=10**17 + person,
                    guild_id=10**17 + person % SERVERS,
                    channel_id=10**17 + 10 + person % SERVERS,
                    message_id=10**18 + number,
                )
                await store.accept(NewJob(request=WAITING.with_seed(number), origin=origin))

    asyncio.run(accept_all())


async def measure(home: Home, seconds: float) -> Held:
    """Start the bot, and stop it `seconds` after it is online."""
    report = home.folder / "held.json"
    variables = {REPORT: str(report), "PYTHONPATH": str(ROOT)}
    watched = ("-m", "benchmarks.waiting", "--watched")
    async with playground() as pg, bot_process(pg, home, *watched, **variables):
        await pg.wait_online(timeout=120)
        await asyncio.sleep(seconds)
    return Held(**json.loads(report.read_text(encoding="utf-8")))


def run_watched() -> int:
    """The bot, with a watch on its loop."""
    took: list[float] = []
    seen: list[Held] = []
    serving, running = cast("Any", bot.serve.core), cast("Any", bot.cli.run)
    recover, serve = serving.recover, bot.serve.serve

    async def timed(*arguments: Any) -> LeftBehind:
        begin = time.perf_counter()
        left: LeftBehind = await recover(*arguments)
        took.append((time.perf_counter() - begin) * 1000)
        return left

    async def watched(settings: Settings, extensions: Sequence[str]) -> None:
        watch = Watch()
        watching = asyncio.create_task(watch.run())
        await serve(settings, extensions)
        watching.cancel()
        seen.append(Held(took[0], watch.held * 1000, watch.late * 1000))

    serving.recover = timed
    running.serve = watched
    code: int = running.run(Settings.load(), EXTENSIONS)
    Path(os.environ[REPORT]).write_text(json.dumps(asdict(seen[0])), encoding="utf-8")
    return code


def start_with(jobs: int, seconds: float = SECONDS) -> Held:
    """Measure one start with `jobs` waiting, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        home = Home(Path(folder) / "home", Path(folder) / "catalog")
        write_catalog(home.catalog, 10)
        fill(home.data / "imagen.sqlite3", jobs)
        return asyncio.run(measure(home, seconds))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"waiting (default {JOBS})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"(default {SECONDS:g})")
    parser.add_argument("--watched", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.watched:
        return run_watched()
    print(start_with(options.jobs, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
