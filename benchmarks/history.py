"""Measure what the store takes with a long history: `python -m benchmarks.history`.

Makes stores of finished jobs of 2,000 people, each with a request, a recipe and an image, and times
what a request, a start of the bot and its hourly housekeeping ask of them. `--write` puts the table
into docs/figures.md.
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

from benchmarks import machine
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from bot.recipe import Recipe, Weights
from bot.request import AdapterUse, GenerationRequest
from bot.store import Discord, JobState, NewJob, Store, discord_person
from bot.store.database import MIGRATIONS, read_scripts

SIZES = (10_000, 100_000, 1_000_000)
PEOPLE = 2_000
DAY_MS = 24 * 60 * 60 * 1000
A_DAY = 1_000
"""Jobs in 24 hours; the history is as long as that makes it."""
BATCH = 10_000
ORIGINS = (Discord.name,)
REPEATS = 20

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
            "hourly: input images": (store.input_uses.all, 3),
            "hourly: bytes of all images": (store.kept_images.bytes, 3),
            "hourly: the oldest 1,000 images": (first_images, 3),
        }
        for name, (work, repeats) in works.items():
            found[name] = await _timed(work, repeats)
    return found


def table(sizes: Sequence[int], found: Sequence[dict[str, Spread]]) -> str:
    """In Markdown, and what it was measured on."""
    lines = [
        f"| with so many jobs | {' | '.join(f'{size:,}' for size in sizes)} |",
        "|---|" + "---|" * len(sizes),
    ]
    lines += [
        f"| {name} | {' | '.join(f'{each[name].p50:.1f} ms' for each in found)} |"
        for name in found[0]
    ]
    load = machine.load_average()
    said = "" if load is None else f" Load at the end: {load:.2f}."
    lines += ["", f"Medians. Measured on {machine.describe()}.{said}"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="jobs in each store")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args(arguments)
    found = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "imagen.sqlite3"
            write_history(path, size)
            found.append(asyncio.run(measure(path)))
    text = table(options.sizes, found)
    print(text)
    if options.write:
        write_into(FIGURES, "history", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
