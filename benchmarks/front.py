"""Measure how many servers, shards and interactions one process carries.

`python -m benchmarks.front` starts the real bot process against a stand-in for Discord on 127.0.0.1
(`playground/`) with 1, 4 and 16 shards and 2,000 servers, and prints a table: what an interaction
costs of one core, and a reaction of anybody to anything; how late the event loop is meanwhile; and
what the servers cost of memory. Nothing is generated: the queue is paused. What one core carries is
computed from the processor time that the bot's process has used, because the stand-in is slower
than the bot. `--write` puts the table into docs/figures.md; `--quick` only shows that it works.
"""

import argparse
import asyncio
import gc
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

import aiohttp
import psutil

from benchmarks import machine
from benchmarks.bot_process import Home, bot_process, playground, write_catalog
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from bot.queue.stillness import PAUSED
from bot.store import Store
from playground import Channel, Guild, Message, Playground, User
from playground.accounts import Role
from playground.rest.reactions import repeat
from playground.state import ChannelType

PEOPLE: Final = 16
"""Each waits for an answer before asking again."""
CHANNELS, ROLES = 20, 15
"""Of each server."""
WAYS: Final = ("imagine", "suggest", "queue")
ASKED: dict[str, Any] = {"prompt": "a lighthouse in heavy rain", "steps": 30}
CARRIED: Final = 2
"""Reactions a minute in a server, of which it is computed how many servers a core carries."""
TICK: Final = 0.01
"""The least processor time that the system tells apart, in seconds."""
LAG: Final = "imagen_event_loop_lag_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Size:
    """Of one measurement."""

    shards: tuple[int, ...] = (1, 4, 16)
    servers: int = 2_000
    calls: int = 600
    reactions: int = 8_000


QUICK: Final = Size((1, 3), servers=30, calls=12, reactions=50)


@dataclass(frozen=True, slots=True)
class Front:
    """What was measured of a bot with `shards`.

    online: seconds until all servers are known. answered: interactions. answer: milliseconds until
    each was. per_call, per_reaction: seconds of processor time. late: within which the event loop
    always was, in seconds. memory: bytes of the process once all servers are known.
    """

    shards: int
    servers: int
    online: float
    answered: int
    answer: Spread
    per_call: float
    per_reaction: float
    late: float
    memory: int


def populate(pg: Playground, servers: int) -> list[Channel]:
    """Add servers until there are so many; returns a channel of each. Nobody hears of it."""
    ids = pg.core.world.snowflakes
    found = [pg.channel]
    while len(pg.core.world.guilds) < servers:
        guild = pg.add_guild(f"server {len(found)}")
        _furnish(pg, guild)
        found.append(next(iter(guild.channels.values())))
        ids.next()
    return found


def _furnish(pg: Playground, guild: Guild) -> None:
    world = pg.core.world
    for number in range(CHANNELS):
        channel = Channel(
            world.snowflakes.next(), ChannelType.TEXT, f"channel-{number}", guild=guild
        )
        guild.channels[channel.id] = world.channels[channel.id] = channel
    for number in range(ROLES):
        role = Role(world.snowflakes.next(), f"role {number}", 0, position=number + 1)
        guild.roles[role.id] = role


class Bot:
    """The process, seen from outside."""

    def __init__(self, pid: int, port: int) -> None:
        self._process = psutil.Process(pid)
        self._port = port

    @property
    def used(self) -> float:
        """Seconds of processor time."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def memory(self) -> int:
        return int(self._process.memory_info().rss)

    async def lags(self) -> dict[float, float]:
        """How often the event loop was late by at most so many seconds, by these."""
        address = f"http://127.0.0.1:{self._port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            lines = (await answer.text()).splitlines()
        found = {}
        for line in lines:
            name, _, count = line.rpartition(" ")
            if name.startswith(LAG):
                bound = name.partition('le="')[2].rstrip('"}')
                found[inf if bound == "+Inf" else float(bound)] = float(count)
        return found

    async def connected(self) -> None:
        """Wait until the health check says that all shards are."""
        address = f"http://127.0.0.1:{self._port}/healthz"
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                async with session.get(address) as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.05)


def free_port() -> int:
    """A port that is currently free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def worst(before: dict[float, float], after: dict[float, float]) -> float:
    """The least bound within which it always was meanwhile, in seconds."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in after}
    return min(bound for bound, count in counts.items() if count == counts[inf])


async def measure(
    folder: Path, catalog: Path, keys: Sequence[str], shards: int, size: Size
) -> Front:
    """Start a bot with so many shards, let people ask, then let them react to each other."""
    home = Home(folder / f"home-{shards}", catalog)
    home.data.mkdir(parents=True)
    async with Store.open(home.data / "imagen.sqlite3") as store:
        await store.set_setting(PAUSED, "yes")
    port = free_port()
    settings = {
        "IMAGEN_QUEUE_SIZE": "10000",
        "IMAGEN_QUEUE_PER_USER": "1000",
        "IMAGEN_METRICS_PORT": str(port),
    }
    async with playground() as pg:
        pg.gateway.limits.shards = pg.gateway.limits.concurrency = shards
        people = [pg.user(f"person-{number}") for number in range(PEOPLE)]
        channels = populate(pg, size.servers)
        begin = time.perf_counter()
        async with bot_process(
            pg, home, "-m", "benchmarks.front_bot", PYTHONPATH=str(Path.cwd()), **settings
        ) as process:
            bot = Bot(process.pid, port)
            await pg.wait_online(timeout=120)
            await pg.wait_commands("imagine", "queue", timeout=60)
            await bot.connected()
            online = time.perf_counter() - begin
            await _ask(people, channels, keys, PEOPLE)  # what is done once, for the first
            await _quiet(bot)
            gc.freeze()  # so that this process's own garbage collections do not count as the bot's
            memory, lags, used = bot.memory, await bot.lags(), bot.used
            took = await _ask(people, channels, keys, size.calls)
            per_call = max(TICK, bot.used - used) / size.calls
            used = bot.used
            await _react(pg, people, channels, size.reactions)
            per_reaction = max(TICK, bot.used - used) / size.reactions
            late = worst(lags, await bot.lags())
    return Front(
        shards,
        size.servers,
        online,
        len(took),
        Spread.of(took),
        per_call,
        per_reaction,
        late,
        memory,
    )


async def _quiet(bot: Bot) -> None:
    """Wait until the start is over: the process uses hardly any time."""
    async with asyncio.timeout(30):
        while True:
            used = bot.used
            await asyncio.sleep(0.5)
            if bot.used - used < 0.05:
                return


async def _ask(
    people: Sequence[User], channels: Sequence[Channel], keys: Sequence[str], calls: int
) -> list[float]:
    """Everybody asks again and again, each time elsewhere; returns milliseconds of each answer."""
    took: list[float] = []
    numbers = iter(range(calls))

    async def one(person: User) -> None:
        for number in numbers:
            channel = channels[number * 7919 % len(channels)]
            begin = time.perf_counter()
            match WAYS[number % len(WAYS)]:
                case "imagine":
                    await person.slash("imagine", **ASKED, seed=number, channel=channel)
                case "suggest":
                    typed = keys[number % len(keys)][: number % 9]
                    await person.autocomplete("imagine", "lora", typed, channel=channel)
                case other:
                    await person.slash(other, channel=channel)
            took.append((time.perf_counter() - begin) * 1000)

    await asyncio.gather(*map(one, people))
    return took


async def _react(
    pg: Playground, people: Sequence[User], channels: Sequence[Channel], count: int
) -> None:
    """Reactions to others' messages, all over the servers; waits until the bot has read them."""
    for number in range(count):
        channel = channels[number * 7919 % len(channels)]
        person = people[number % len(people)]
        message = Message(pg.core.world.snowflakes.next(), channel, person, "Good day")
        repeat(pg.core, person, message, "👍")
        if number % 50 == 0:
            await asyncio.sleep(0)
    # Events and the answer to a heartbeat keep their order.
    before = pg.gateway.heartbeats
    for connection in pg.gateway.connections:
        connection.send({"op": 1, "d": None})
    expected = before + len(pg.gateway.connections)
    await pg.wait_for(lambda: pg.gateway.heartbeats >= expected, timeout=60)


def table(found: Sequence[Front], alone: Front) -> str:
    """In Markdown, and what it was measured on. alone: a bot with one shard and one server."""
    first = found[0]
    lines = [
        "| shards | all servers known after | interactions a second of one core |"
        " answered, p50 / p99 / max | reactions a second of one core | event loop late |"
        " memory for 1,000 servers |",
        "|---|---|---|---|---|---|---|",
    ]
    for front in found:
        memory = (front.memory - alone.memory) / (front.servers - alone.servers) * 1000
        lines.append(
            f"| {front.shards} | {front.online:.1f} s |"
            f" {1 / front.per_call:,.0f} ({first.per_call / front.per_call:.2f} ×) |"
            f" {front.answer} |"
            f" {1 / front.per_reaction:,.0f} ({first.per_reaction / front.per_reaction:.2f} ×) |"
            f" ≤ {front.late * 1000:.0f} ms | {memory / 2**20:.1f} MiB |"
        )
    last = found[-1]
    carried = 60 / CARRIED / last.per_reaction
    load = machine.load_average()
    lines += [
        "",
        f"{first.servers:,} servers with {CHANNELS} channels and {ROLES} roles each;"
        f" {PEOPLE} people ask all the time, a third of it `/imagine`. In brackets: as much as with"
        f" one shard. Where each server has {CARRIED} reactions a minute, half a core reads those"
        f" of {carried / 2:,.0f} servers. Measured on {machine.describe()}."
        + ("" if load is None else f" Load at the end: {load:.2f}."),
    ]
    return "\n".join(lines)


async def run(folder: Path, size: Size) -> str:
    catalog = folder / "catalog"
    keys = write_catalog(catalog, 100)
    print("one server …", file=sys.stderr, flush=True)
    small = Size(servers=1, calls=len(WAYS), reactions=PEOPLE)
    alone = await measure(folder / "alone", catalog, keys, 1, small)
    found = []
    for shards in size.shards:
        print(f"{shards} shards …", file=sys.stderr, flush=True)
        found.append(await measure(folder, catalog, keys, shards, size))
    return table(found, alone)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few servers and calls")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args(arguments)
    if options.write and options.quick:
        parser.error("--write needs all rows; leave out --quick")
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        text = asyncio.run(run(Path(folder), QUICK if options.quick else Size()))
    print(text)
    if options.write:
        write_into(FIGURES, "front", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
