"""Measure how long a search in a long history takes: `python -m benchmarks.history_search`.

Makes a store of a million jobs, nearly all of one person and a few of another, and times the first
page of what each kind of search finds for both, compared with a LIKE over the same jobs; and what
the index adds to accepting a job. `--write` puts the table into docs/figures.md.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.history import RECIPE, REQUEST
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from bot.store import Discord, NewJob, Store, discord_person
from bot.store.history import Query, index, words
from bot.store.migrating import MIGRATIONS, read_scripts

SIZE: Final = 1_000_000
MANY: Final = discord_person(1)
FEW: Final = discord_person(2)
OF_FEW: Final = 40
"""Jobs of the person with a few."""
PAGE: Final = 6
GOAL: Final = 50.0
REPEATS: Final = 15
ACCEPTED: Final = 300
BATCH: Final = 5_000
A_JOB_MS: Final = 60_000
"""Milliseconds between two jobs."""
RARE_EVERY: Final = 100_000
VOCABULARY: Final = 20_000
WORDS: Final = 24
"""In each prompt, beside those of all."""
SEARCHES: Final = {
    "all, newest first": Query(),
    "a word of every prompt": Query(words="lighthouse"),
    "a word of a hundred thousandth": Query(words="unicorn"),
    "a rare and a common word": Query(words="unicorn lighthouse"),
    "the beginning of a word": Query(words="lighth"),
    "one Chinese character": Query(words="猫"),
    "a phrase": Query(words='"heavy rain"'),
    "a word and a model": Query(words="lighthouse", model="sdxl-base"),
    "a LoRA that is not there": Query(lora="none"),
    "a word that is nowhere": Query(words="xylophone"),
    "before a day long ago": Query(words="lighthouse", until=200_000 * A_JOB_MS),
}
LIKE: Final = (
    "SELECT id FROM jobs WHERE person = ? AND (json_extract(request, '$.prompt') LIKE ?"
    " OR json_extract(request, '$.negative') LIKE ?) ORDER BY created_at DESC LIMIT ?"
)
"""What one would write without an index of words."""


def write_history(path: Path, size: int) -> float:
    """A database with `size` jobs, each in the index; returns the seconds that the index took."""
    chance = random.Random(1)
    vocabulary = ["".join(chance.choices("aeioubdgklmnprst", k=7)) for _ in range(VOCABULARY)]
    taken = 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        scripts = read_scripts(MIGRATIONS)
        for script in scripts:
            database.executescript(script)
        database.execute(f"PRAGMA user_version = {len(scripts)}")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE history_progress SET format = ?", (words.FORMAT,))
        recipe = json.dumps(RECIPE.to_dict())
        for begin in range(0, size, BATCH):
            database.execute("BEGIN")
            for number in range(begin, min(begin + BATCH, size)):
                prompt = (
                    f"a lighthouse in heavy rain, {' '.join(chance.choices(vocabulary, k=WORDS))}"
                )
                prompt += ", unicorn" if number % RARE_EVERY == 0 else ""
                prompt += ", 黒い猫" if number % 1000 == 0 else ""
                person = FEW if number % (size // OF_FEW) == 1 else MANY
                request = replace(REQUEST, prompt=prompt)
                at, job_id = number * A_JOB_MS, f"job{number:07}"
                database.execute(
                    "INSERT INTO jobs (id, origin, kind, state, attempt, request, person,"
                    " community, created_at, started_at, finished_at, delivered_at, recipe)"
                    " VALUES (?, 'discord', 'imagine', 'delivered', 1, ?, ?, 'discord:1', ?, ?, ?,"
                    " ?, ?)",
                    (
                        job_id,
                        json.dumps(request.to_dict()),
                        person,
                        *(at + more for more in (0, 1_000, 9_000, 9_500)),
                        recipe,
                    ),
                )
                database.execute(
                    "INSERT INTO discord_jobs (job_id, user_id, locale, upload_limit)"
                    " VALUES (?, ?, 'en-US', 10000000)",
                    (job_id, 2 if person == FEW else 1),
                )
                started = time.perf_counter()
                index.add(database, job_id, person, "imagine", at, request)
                taken += time.perf_counter() - started
            started = time.perf_counter()
            database.execute("COMMIT")
            taken += time.perf_counter() - started
    return taken


async def measure(path: Path) -> tuple[dict[str, dict[str, Spread]], dict[str, Spread]]:
    """What each search takes for each person, in milliseconds; and what a job takes to accept."""
    async with Store.open(path) as store:
        found: dict[str, dict[str, Spread]] = {}
        for person in (MANY, FEW):
            found[person] = {}
            for name, query in SEARCHES.items():
                took = []
                for _ in range(REPEATS):
                    begin = time.perf_counter()
                    await store.history.page(person, query, PAGE)
                    took.append((time.perf_counter() - begin) * 1000)
                found[person][name] = Spread.of(took)
        accepted = {"with the index": await _accepting(store)}
        add = index.add
        import bot.store.accepting as accepting

        accepting.add = lambda *_: None  # type: ignore[attr-defined]
        try:
            accepted["without"] = await _accepting(store)
        finally:
            accepting.add = add  # type: ignore[attr-defined]
    return found, accepted


async def _accepting(store: Store) -> Spread:
    took = []
    for number in range(ACCEPTED):
        new = NewJob(request=replace(REQUEST, seed=number), origin=Discord(user_id=number))
        begin = time.perf_counter()
        await store.accept(new)
        took.append((time.perf_counter() - begin) * 1000)
    return Spread.of(took)


def baseline(path: Path) -> dict[str, float]:
    """What LIKE takes, in milliseconds, by the person and the word."""
    with closing(sqlite3.connect(path)) as database:
        found = {}
        for person, word in ((MANY, "lighthouse"), (MANY, "unicorn"), (FEW, "lighthouse")):
            begin = time.perf_counter()
            database.execute(LIKE, (person, f"%{word}%", f"%{word}%", PAGE)).fetchall()
            found[f"{person} {word}"] = (time.perf_counter() - begin) * 1000
        return found


def table(size: int, found: dict[str, dict[str, Spread]], like: dict[str, float]) -> str:
    """In Markdown."""
    compared = {
        (MANY, "a word of every prompt"): like[f"{MANY} lighthouse"],
        (MANY, "a word of a hundred thousandth"): like[f"{MANY} unicorn"],
        (FEW, "a word of every prompt"): like[f"{FEW} lighthouse"],
    }
    lines = [
        f"| first page of {PAGE}, goal ≤ {GOAL:g} ms | of {size - OF_FEW:,} jobs | of {OF_FEW} jobs"
        " | `LIKE` over the jobs |",
        "|---|---|---|---|",
    ]
    for name in SEARCHES:
        cells = [f"{found[person][name].p50:.1f} ms" for person in (MANY, FEW)]
        ratios = [
            f"{took:,.1f} ms, {took / found[person][name].p50:,.1f} ×"
            for person in (MANY, FEW)
            if (took := compared.get((person, name))) is not None
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {'; '.join(ratios)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.history_search", description=__doc__
    )
    parser.add_argument("size", type=int, nargs="?", default=SIZE, help="jobs in the store")
    parser.add_argument("--write", action="store_true", help="put this into docs/figures.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "imagen.sqlite3"
        taken = write_history(path, options.size)
        with closing(sqlite3.connect(path)) as database:
            [pages] = database.execute("SELECT sum(length(block)) FROM history_data").fetchone()
        found, accepted = asyncio.run(measure(path))
        like = baseline(path)
        whole = path.stat().st_size
    worst = max(spread.p50 for each in found.values() for spread in each.values())
    with_index, without = accepted["with the index"], accepted["without"]
    load = machine.load_average()
    said = "" if load is None else f" Load at the end: {load:.2f}."
    text = "\n\n".join(
        (
            table(options.size, found, like),
            f"The slowest first page takes {worst:.1f} ms. A job is accepted in"
            f" {with_index.p50:.2f} ms, of which the index takes"
            f" {with_index.p50 - without.p50:.2f} ms (99th percentiles: {with_index.p99:.1f} and"
            f" {without.p99:.1f} ms). The index has {pages / options.size:.0f} bytes for each job,"
            f" {pages / whole:.0%} of the file; to add a job to it while catching up takes"
            f" {taken / options.size * 1000:.2f} ms.",
            f"Medians. Measured on {machine.describe()}.{said}",
        )
    )
    print(text)
    if options.write:
        write_into(FIGURES, "history-search", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
