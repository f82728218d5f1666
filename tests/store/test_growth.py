"""However long the history is, a request costs the database about the same.

Counted in the steps of SQLite's virtual machine, not in seconds: they are always the same.
"""

import json
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from bot.store import JobState, Store
from tests.parameters import mostly_long
from tests.queue.lanes import ORIGINS
from tests.store.factories import REQUEST, new_job, recipe, record

SIZES = (1_000, 4_000, 16_000, 64_000)
PEOPLE = 50
DAY_MS = 24 * 60 * 60 * 1000
A_DAY = 1_000
"""Jobs in 24 hours."""
KEPT = 500
"""How many of the latest images are not pruned yet."""

Ask = Callable[[Store], Awaitable[object]]


class Grown:
    """A store whose history grows, and the steps that each thing took at each size."""

    def __init__(self, path: Path, store: Store) -> None:
        self.path = path
        self._store = store
        self._size = 0

    def grow(self, size: int) -> None:
        """Add finished jobs, each older than all before, until there are `size`."""
        now, request = time.time_ns() // 1_000_000, json.dumps(REQUEST.to_dict())
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            numbers = range(self._size, size)
            times = {number: now - number * DAY_MS // A_DAY for number in numbers}
            database.executemany(
                "INSERT INTO jobs (id, origin, kind, state, attempt, request, person, community,"
                " created_at, started_at, finished_at, delivered_at, told_at)"
                " VALUES (?, 'discord', 'imagine', ?, 1, ?, ?, 'discord:1', ?, ?, ?, ?, ?)",
                (
                    (
                        f"old{number}",
                        "delivered" if number % 10 else "failed",
                        request,
                        f"discord:{number % PEOPLE}",
                        *(times[number] + more for more in (0, 1_000, 9_000, 9_500, 9_500)),
                    )
                    for number in numbers
                ),
            )
            database.executemany(
                "INSERT INTO discord_jobs (job_id, user_id, guild_id, channel_id, message_id,"
                " locale, upload_limit, interaction_id) VALUES (?, ?, 1, 2, ?, 'de', 1, ?)",
                ((f"old{n}", n % PEOPLE, 10**18 + n, 10**18 + n) for n in numbers),
            )
            database.executemany(
                "INSERT INTO images (job_id, n, seed, path, bytes, width, height, sha256,"
                " pixels_sha256, pruned_at) VALUES (?, 0, 1, 'a.png', 9, 64, 64, 'd', 'e', ?)",
                ((f"old{n}", now if n >= KEPT else None) for n in numbers),
            )
            database.execute("COMMIT")
        self._size = size

    async def steps(self, ask: Ask) -> int:
        """How many steps all connections together take for it."""
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        await ask(self._store)  # statements are prepared once
        database = self._store._database
        for watch in (step, None):
            await database._reader.set_progress_handler(watch, 1)  # type: ignore[arg-type]
            await database.write(lambda write, watch=watch: write.set_progress_handler(watch, 1))  # type: ignore[misc]
            if watch is not None:
                await ask(self._store)
        return count

    async def growth(self, ask: Ask) -> list[int]:
        found = []
        for size in SIZES:
            self.grow(size)
            found.append(await self.steps(ask))
        return found


@pytest.fixture
async def grown(tmp_path: Path) -> AsyncIterator[Grown]:
    path = tmp_path / "x.sqlite3"
    async with Store.open(path) as store:
        yield Grown(path, store)


async def request(store: Store) -> None:
    """All that happens to a request that is accepted, generated and delivered."""
    await store.usage("discord:7", time.time())
    await store.last_served(["discord:7"])
    job = await store.accept(new_job(channel_id=2), lambda _: None)
    await store.messages.set(job.id, 2, time.time_ns())
    await store.messages.token(job.id)
    running = await store.start(job.id, ["old1", "old2"])
    assert running is not None
    finished = await store.finish(running, recipe(), [record()], [])
    assert finished is not None
    await store.messages.set_posting(job.id)
    assert await store.images(job.id)
    await store.deliver(finished, 2, time.time_ns())


async def ended(store: Store) -> None:
    """A request that is cancelled, and its person told."""
    job = await store.cancel(await store.accept(new_job()))
    assert job is not None
    await store.tell(job)


async def reaction(store: Store) -> None:
    assert await store.messages.job_of(10**18 + 5)


async def started(store: Store) -> None:
    """What a start asks for."""
    for state in (JobState.DONE, JobState.RUNNING, JobState.PENDING):
        await store.jobs_in(state, ORIGINS)
    await store.untold(ORIGINS)
    await store.painted(ORIGINS, 100)
    await store.requeue_all(ORIGINS)


async def tidied(store: Store) -> None:
    """What is asked for again and again while the bot runs."""
    await store.messages.erase_tokens()
    async for _ in store.kept_images.pages():
        break
    await store.input_uses.of_all(["a" * 64, "b" * 64])


def within_log(found: list[int]) -> bool:
    """Whether what was found at each of SIZES grows no faster than the logarithm of the size."""
    return all(
        steps <= found[0] * (math.log(size) / math.log(SIZES[0]))
        for size, steps in zip(SIZES, found, strict=True)
    )


@pytest.mark.parametrize("ask", mostly_long([request, ended, reaction, started, tidied], usual=1))
async def test_no_cost_grows_faster_than_the_logarithm_of_the_history(
    grown: Grown, ask: Ask
) -> None:
    found = await grown.growth(ask)
    assert found[0] > 0
    assert within_log(found), found


@pytest.mark.long
@pytest.mark.parametrize(
    ("index", "ask"),
    [
        ("jobs_of_person", request),
        ("jobs_served", request),
        ("jobs_open", started),
        ("jobs_untold", started),
        ("jobs_started", started),
        ("discord_jobs_by_message", reaction),
        ("images_kept", tidied),
    ],
)
async def test_a_missing_index_would_be_noticed(grown: Grown, index: str, ask: Ask) -> None:
    with closing(sqlite3.connect(grown.path)) as database:
        database.execute(f"DROP INDEX {index}")
    found = await grown.growth(ask)
    assert not within_log(found), found
