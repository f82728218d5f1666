"""Measure what the store takes with a long history: `python -m benchmarks.history`.

Makes stores of finished jobs of 2,000 people, each with a request, a recipe and an image, and times
what a request, a start of the bot and its hourly housekeeping ask of them; then starts the bot with
a long queue (`benchmarks.waiting`). `--write` puts the table and a chart into docs/figures.md.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from benchmarks.waiting import JOBS, SECONDS, Held, start_with
from benchmarks.waiting import PEOPLE as PEOPLE_WAITING
from bot.recipe import Recipe, Weights
from bot.request import AdapterUse, GenerationRequest
from bot.store import Discord, JobState, NewJob, Store, discord_person
from bot.store.migrating import MIGRATIONS, read_scripts

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
PEOPLE = 2_000
DAY_MS = 24 * 60 * 60 * 1000
A_DAY = 1_000
"""Jobs in 24 hours; the history is as long as that makes it."""
BATCH = 10_000
ORIGINS = (Discord.name,)
REPEATS = 20
STARTS = 3

REQUEST = GenerationRequest(
    prompt="a lighthouse in heavy rain, waves, dramatic light, highly detailed, " * 3,
    negative="blurry, low quality, watermark, text",
    model="sdxl-base",
    steps=30,
    guidance=6.0,
    seed=1,
    width=1024,
    height=1024,
    scheduler="DPM++ 2M Karras",
    adapters=(AdapterUse("anime-style", 0.8), AdapterUse("pixel-art", 0.5)),
)
RECIPE = Recipe(
    request=REQUEST,
    checkpoint=Weights("sdxl-base", "a" * 64, "a" * 10),
    adapters=(Weights("anime-style", "b" * 64, "b" * 12), Weights("pixel-art", "c" * 64, "c" * 12)),
    scheduler={"_class_name": "DPMSolverMultistepScheduler", "num_train_timesteps": 1000},
    environment={"torch": "2.13.0", "diffusers": "0.42.1", "device": "cuda", "dtype": "float16"},
)


def write_history(path: Path, size: int) -> None:
    """A database with `size` delivered jobs, the last of them just now."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        scripts = read_scripts(MIGRATIONS)
        for script in scripts:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {len(scripts)}")
        database.execute("PRAGMA synchronous = OFF")
        request, recipe = json.dumps(REQUEST.to_dict()), json.dumps(RECIPE.to_dict())
        now = time.time_ns() // 1_000_000
        for begin in range(0, size, BATCH):
            numbers = range(begin, min(begin + BATCH, size))
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO jobs (id, origin, kind, state, attempt, request, person, community,"
                " created_at, started_at, finished_at, delivered_at, recipe)"
                " VALUES (?, 'discord', 'imagine', 'delivered', 1, ?, ?, 'discord:1', ?, ?, ?,"
                " ?, ?)",
                _jobs(numbers, size, now, request, recipe),
            )
            database.executemany(
                "INSERT INTO discord_jobs (job_id, user_id, guild_id, channel_id, message_id,"
                " locale, upload_limit, interaction_id)"
                " VALUES (?, ?, 1, 2, ?, 'en-US', 10000000, ?)",
                ((f"job{n:07}", n % PEOPLE, 10**18 + n, 10**18 + n) for n in numbers),
            )
            database.executemany(
                "INSERT INTO images (job_id, n, seed, path, bytes, width, height, sha256,"
                " pixels_sha256) VALUES (?, 0, ?, ?, 1500000, 1024, 1024, ?, ?)",
                ((f"job{n:07}", n, f"job{n:07}/a.png", "d" * 64, "e" * 64) for n in numbers),
            )
            database.execute("COMMIT")


def _jobs(
    numbers: range, size: int, now: int, request: str, recipe: str
) -> Iterator[tuple[object, ...]]:
    for number in numbers:
        at = now - (size - number) * DAY_MS // A_DAY
        person = discord_person(number % PEOPLE)
        yield (
            f"job{number:07}",
            request,
            person,
            at,
            at + 1_000,
            at + 9_000,
            at + 9_500,
            recipe,
        )


async def _timed(work: Callable[[], Awaitable[object]], repeats: int) -> Spread:
    took = []
    for _ in range(repeats):
        begin = time.perf_counter()
        await work()
        took.append((time.perf_counter() - begin) * 1000)
    return Spread.of(took)


async def measure(path: Path) -> dict[str, Spread]:
    """What each thing takes with the store in `path`, by name."""
    begin = time.perf_counter()
    async with Store.open(path) as store:
        found = {"opening": Spread.of([(time.perf_counter() - begin) * 1000])}
        person = discord_person(7)
        inputs = [f"{number:064}" for number in range(500)]
        people = [discord_person(number) for number in range(PEOPLE)]

        async def accept() -> None:
            origin = Discord(user_id=7, guild_id=1, channel_id=2)
            await store.cancel(await store.accept(NewJob(request=REQUEST, origin=origin)))

        async def first_images() -> None:
            async for _ in store.kept_images.pages():
                break

        works: dict[str, tuple[Callable[[], Awaitable[object]], int]] = {
            "a request: usage": (lambda: store.usage(person, time.time()), REPEATS),
            "a request: accept, then cancel": (accept, REPEATS),
            "a request: last served": (lambda: store.last_served([person]), REPEATS),
            "a reaction: the job of a message": (lambda: store.messages.job_of(10**18), REPEATS),
            "start: open jobs": (lambda: store.jobs_in(JobState.PENDING, ORIGINS), REPEATS),
            "start: failures not told": (lambda: store.untold(ORIGINS), REPEATS),
            "start: the last 1,000 images": (lambda: store.painted(ORIGINS), 3),
            "start: last served of everyone": (lambda: store.last_served(people), 3),
            "every 30 s: erase tokens": (store.messages.erase_tokens, REPEATS),
            "hourly: what needs 500 input images": (lambda: store.input_uses.of_all(inputs), 3),
            "hourly: bytes of all images": (store.kept_images.bytes, 3),
            "hourly: the oldest 1,000 images": (first_images, 3),
        }
        for name, (work, repeats) in works.items():
            found[name] = await _timed(work, repeats)
    return found


def table(sizes: Sequence[int], found: Sequence[dict[str, Spread]]) -> str:
    """In Markdown."""
    lines = [
        f"| with so many jobs | {' | '.join(f'{size:,}' for size in sizes)} |",
        "|---|" + "---|" * len(sizes),
    ]
    lines += [
        f"| {name} | {' | '.join(f'{each[name].p50:.1f} ms' for each in found)} |"
        for name in found[0]
    ]
    return "\n".join(lines)


def charts(sizes: Sequence[int], found: Sequence[dict[str, Spread]]) -> str:
    """In Markdown: how what a request and a start take grows, drawn by Mermaid."""
    drawn, names = [], ", ".join(f'"{size:,}"' for size in sizes)
    for title, prefixes in (("A request", ("a request:",)), ("A start", ("opening", "start:"))):
        sums = [
            sum(spread.p50 for name, spread in each.items() if name.startswith(prefixes))
            for each in found
        ]
        drawn.append(
            "\n".join(
                (
                    "```mermaid",
                    "xychart-beta",
                    f'    title "{title}: milliseconds in all, by the jobs in the store"',
                    f"    x-axis [{names}]",
                    f'    y-axis "ms" 0 --> {max(1, round(max(sums) * 1.25))}',
                    f"    line [{', '.join(f'{value:.1f}' for value in sums)}]",
                    "```",
                )
            )
        )
    return "\n\n".join(drawn)


def waiting_table(held: Sequence[Held]) -> str:
    """In Markdown: the medians of several starts with a long queue."""
    ready, longest, late = (
        median(getattr(each, name) for each in held) for name in ("ready_ms", "held_ms", "late_ms")
    )
    return "\n".join(
        (
            f"| a start with {JOBS:,} jobs waiting, of {PEOPLE_WAITING} people | |",
            "|---|---|",
            f"| until the first job can begin, after opening | {ready:.0f} ms |",
            f"| longest hold of the event loop (goal ≤ 50 ms) | {longest:.0f} ms |",
            f"| latest turn of the event loop, while torch is imported beside it | {late:.0f} ms |",
        )
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="jobs in each store")
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="to watch the bot with a long queue",
    )
    parser.add_argument("--write", action="store_true", help="put all this into docs/figures.md")
    options = parser.parse_args(arguments)
    found = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "imagen.sqlite3"
            write_history(path, size)
            found.append(asyncio.run(measure(path)))
    held = [start_with(JOBS, options.seconds) for _ in range(STARTS)]
    load = machine.load_average()
    said = "" if load is None else f" Load at the end: {load:.2f}."
    text = "\n\n".join(
        (
            table(options.sizes, found),
            charts(options.sizes, found),
            waiting_table(held),
            f"Medians. Measured on {machine.describe()}.{said}",
        )
    )
    print(text)
    if options.write:
        write_into(FIGURES, "history", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
