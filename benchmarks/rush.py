"""Measure how many of a rush of interactions the bot answers in time, and how quickly.

`python -m benchmarks.rush` starts the real bot process against a stand-in for Discord on 127.0.0.1
(`playground/`), sends 2,000 interactions of 200 people within 30 seconds while it generates, and
prints a table: once with an empty queue that soon is full, and twice with thousands of jobs waiting
from the start. Discord drops an interaction that is not answered within three seconds. Latencies
are measured in the stand-in, which shares the CPU with the bot. `--write` puts the table into
docs/figures.md.

`--only 1 --busy 2` is the rush that is hardest to answer: 2,000 interactions within 30 seconds, a
queue of 500, ten jobs a person, and two other processes that take turns with the bot on two cores.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bot_process import Home, bot_process, has_result, playground, write_catalog
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from bot.request import GenerationRequest
from bot.store import Discord, NewJob, Store
from playground import Channel, Interaction, NotAcknowledged, User

PEOPLE = 200
GOAL_MS = 1_000.0
"""p99 of all answers."""
PER_PERSON = 10
WAYS = ("imagine", "suggest", "imagine", "queue", "imagine", "suggest", "imagine", "models")
"""What people do, over and over: half of it requests an image."""
ASKED: dict[str, Any] = {"prompt": "a lighthouse in heavy rain", "steps": 30}
WAITING = GenerationRequest(
    prompt="a harbor at night",
    negative="",
    model="demo",
    steps=30,
    guidance=6.0,
    seed=1,
    width=64,
    height=64,
    scheduler="Euler",
)


@dataclass(frozen=True, slots=True)
class Rush:
    """One measurement. waiting: jobs in the queue before it begins; size: the queue's limit."""

    name: str
    size: int
    waiting: int = 0


RUSHES = (
    Rush("an empty queue of 500", 500),
    Rush("9,900 of 10,000 waiting", 10_000, 9_900),
    Rush("8,000 of 10,000 waiting, so that all are accepted", 10_000, 8_000),
)


@dataclass(slots=True)
class Outcome:
    """took: milliseconds of each answer, by what was done. unanswered: counts by the same.

    accepted: jobs. own_stall_ms: how late the measuring process itself was at worst.
    """

    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    own_stall_ms: float = 0.0

    @property
    def answers(self) -> list[float]:
        return [took for each in self.took.values() for took in each]

    @property
    def met(self) -> bool:
        return not self.unanswered.total() and Spread.of(self.answers).p99 <= GOAL_MS


async def fill(home: Home, channel: Channel, count: int) -> None:
    """Store `count` pending jobs, of as many people as may have so many each."""
    guild = channel.guild.id if channel.guild else None
    async with Store.open(home.data / "imagen.sqlite3") as store:
        for number in range(count):
            person = 10**17 + number // PER_PERSON
            origin = Discord(user_id=person, guild_id=guild, channel_id=channel.id)
            await store.accept(NewJob(request=WAITING.with_seed(number), origin=origin))


async def measure(
    home: Home, rush: Rush, keys: Sequence[str], calls: int, seconds: float, busy: int
) -> Outcome:
    """Fill the queue, start the bot, and make `calls` calls, evenly spread over `seconds`."""
    outcome = Outcome()
    limits = {
        "IMAGEN_QUEUE_SIZE": str(rush.size),
        "IMAGEN_QUEUE_PER_USER": str(PER_PERSON),
    }
    async with playground() as pg, neighbors(busy):
        people = [pg.user(f"person-{number}") for number in range(PEOPLE)]
        if rush.waiting:
            await fill(home, pg.channel, rush.waiting)
        async with bot_process(pg, home, **limits):
            await pg.wait_online(timeout=120)
            await pg.wait_commands("imagine", "queue", "models", timeout=60)
            # The first image imports torch and loads the model.
            if not rush.waiting:
                await people[0].slash("imagine", **ASKED)
            await pg.wait_message(has_result, timeout=120)
            gc.freeze()  # so that this process's own garbage collections do not count as the bot's
            loop = asyncio.get_running_loop()
            begin = loop.time()
            tasks: list[asyncio.Task[None]] = []
            for number in range(calls):
                due = begin + number * seconds / calls
                await asyncio.sleep(max(0.0, due - loop.time()))
                outcome.own_stall_ms = max(outcome.own_stall_ms, (loop.time() - due) * 1000)
                person = people[number * 7 % PEOPLE]
                kind = WAYS[number % len(WAYS)]
                tasks.append(asyncio.create_task(_call(outcome, kind, person, number, keys)))
            await asyncio.gather(*tasks)
            return outcome


@contextlib.asynccontextmanager
async def neighbors(count: int) -> AsyncIterator[None]:
    """Keep `count` other processes computing, as on a busy or a small machine."""
    busy = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            await process.wait()


async def _call(
    outcome: Outcome, kind: str, person: User, number: int, keys: Sequence[str]
) -> None:
    begin = time.perf_counter()
    try:
        call = await _act(kind, person, number, keys)
    except NotAcknowledged:
        outcome.unanswered[kind] += 1
        return
    took = (time.perf_counter() - begin) * 1000
    if isinstance(call, Interaction):
        took = call.ack_ms or took
        outcome.accepted += kind == "imagine" and not call.ephemeral
    outcome.took[kind].append(took)


def _act(kind: str, person: User, number: int, keys: Sequence[str]) -> Coroutine[Any, Any, Any]:
    key = keys[number % len(keys)]
    match kind:
        case "imagine" if number % 3:
            return person.slash("imagine", **ASKED, seed=number, lora=f"{key}:0.6")
        case "imagine":
            return person.slash("imagine", **ASKED, seed=number)
        case "suggest":
            return person.autocomplete("imagine", "lora", key[: number % 9])
        case _:
            return person.slash(kind)


def table(found: Sequence[tuple[Rush, Outcome]], calls: int, seconds: float, busy: int = 0) -> str:
    """In Markdown, and what it was measured on. busy: how many other processes computed."""
    lines = [
        "| before the rush | unanswered after 3 s | `/imagine`, p50 / p99 / max | everything else |"
        " accepted |",
        "|---|---|---|---|---|",
    ]
    for rush, outcome in found:
        asked = outcome.took["imagine"]
        other = [ms for kind, each in outcome.took.items() if kind != "imagine" for ms in each]
        missed = "" if outcome.met else " **(missed)**"
        lines.append(
            f"| {rush.name} | {outcome.unanswered.total():,} of {calls:,}{missed} |"
            f" {_spread(asked)} | {_spread(other)} | {outcome.accepted:,} |"
        )
    load = machine.load_average()
    stall = max(outcome.own_stall_ms for _, outcome in found)
    lines += [
        "",
        f"{calls:,} interactions of {PEOPLE} people in {seconds:g} s, half of them `/imagine`, at"
        f" most {PER_PERSON} jobs a person. Goal: none unanswered, and p99 of all answers"
        f" ≤ {GOAL_MS / 1000:g} s. Measured on {machine.describe()}."
        + (f" Other processes computing all the time: {busy}." if busy else "")
        + ("" if load is None else f" Load at the end: {load:.2f}.")
        + f" The measuring process itself was at most {stall:.0f} ms late.",
    ]
    return "\n".join(lines)


def _spread(took: Sequence[float]) -> str:
    return str(Spread.of(took)) if took else "–"


async def run(options: argparse.Namespace, folder: Path) -> list[tuple[Rush, Outcome]]:
    catalog = folder / "catalog"
    keys = write_catalog(catalog, options.entries)
    homes = (folder / f"home-{number}" for number in itertools.count())
    found = []
    for rush in RUSHES if options.only is None else RUSHES[options.only - 1 : options.only]:
        print(f"{rush.name} …", file=sys.stderr, flush=True)
        home = Home(next(homes), catalog)
        outcome = await measure(home, rush, keys, options.calls, options.seconds, options.busy)
        print(f"{dict(outcome.unanswered)} unanswered", file=sys.stderr, flush=True)
        found.append((rush, outcome))
    return found


def main() -> int:
    """Returns 1 when a goal was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=2_000, help="(default 2000)")
    parser.add_argument("--seconds", type=float, default=30, help="(default 30)")
    parser.add_argument("--entries", type=int, default=1_000, help="LoRAs (default 1000)")
    parser.add_argument("--busy", type=int, default=0, help="other processes computing (default 0)")
    parser.add_argument("--only", type=int, metavar="N", help="only the Nth line of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args()
    if options.write and (options.only or options.busy):
        parser.error("--write needs all rows, of an undisturbed bot; leave out --only and --busy")
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        found = asyncio.run(run(options, Path(folder)))
    text = table(found, options.calls, options.seconds, options.busy)
    print(text)
    if options.write:
        write_into(FIGURES, "rush", text)
    return 0 if all(outcome.met for _, outcome in found) else 1


if __name__ == "__main__":
    sys.exit(main())
