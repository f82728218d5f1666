"""Measure how quickly the bot starts, and answers people while generating: their commands,
autocomplete, and presses of the buttons below a result.

`python -m benchmarks.responsiveness` starts the real bot process against a stand-in for Discord on
127.0.0.1 (`playground/`), several times and with two catalogs, and prints a table. Latencies are
measured in the stand-in, from sending the interaction to receiving its answer. They include both
sides of the connection, and the stand-in shares the CPU with the bot.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bot_process import (
    ROOT,
    Home,
    bot_process,
    has_result,
    playground,
    write_catalog,
)
from benchmarks.figures import Latencies, Report, table
from benchmarks.first_start import Reading
from benchmarks.lag import Lags
from benchmarks.lora_files import write_loras
from benchmarks.page import FIGURES, write_into
from benchmarks.presses import Presser, Presses
from benchmarks.spread import Spread
from benchmarks.starts import BARE_BOT, Kind, starts
from catalog import KeptFacts, LiveCatalog
from playground import Interaction, Message, Playground, User

FEW_ENTRIES = 10
RATE = 20.0
"""Calls per second, made whether or not the earlier ones were answered."""
IDLE_ACKS = 50
LONG_JOB: dict[str, Any] = {"prompt": "a lighthouse in heavy rain", "steps": 100, "count": 4}
SERIES = 6
"""Of calls while it generates, each of `calls` calls."""
LONG_JOB_SECONDS = 4
"""What one takes at the very least, on a fast CPU, so that enough of them are queued."""
ROOMY = {"IMAGEN_QUEUE_SIZE": "10000", "IMAGEN_QUEUE_PER_USER": "1000"}

Call = Callable[[int], Coroutine[Any, Any, float]]
"""Makes the n-th call and returns how many milliseconds it took."""


# Answering


async def latencies(home: Home, keys: Sequence[str], calls: int) -> Latencies:
    """Measure one bot: idle first, then while it generates for other users."""
    draw = random.Random(20_261_122)
    texts = typed_texts(keys, calls, draw)
    async with playground() as pg, bot_process(pg, home, **ROOMY):
        users = [pg.user(f"user-{number}") for number in range(20)]

        async def autocomplete(number: int) -> float:
            begin = time.perf_counter()
            await users[number % 20].autocomplete("imagine", "lora", texts[number])
            return (time.perf_counter() - begin) * 1000

        async def acknowledge(number: int) -> float:
            return await _imagine(users[number % 20], number, keys)

        await pg.wait_online(timeout=60)
        await pg.wait_commands("imagine", timeout=60)
        gc.freeze()  # so that this process's own garbage collections do not count as the bot's
        # The first one imports torch and loads the model.
        idle_acks = [await _one_picture(pg, users[0]) for _ in range(1 + min(calls, IDLE_ACKS))]
        idle_autocomplete = await _at_a_steady_rate(autocomplete, calls)
        pressed = Presser(users, await _result(users[0]))
        await pressed.unfold()
        async with _painting(pg, calls), _own_stall() as own_stall:
            before = _pictures(pg)
            loaded_autocomplete = await _at_a_steady_rate(autocomplete, calls)
            loaded_acks = await _at_a_steady_rate(acknowledge, calls)
            presses = Presses(
                same=Spread.of(await _at_a_steady_rate(pressed.same, calls)),
                edit=Spread.of(await _at_a_steady_rate(pressed.edit, calls)),
                more=Spread.of(await _at_a_steady_rate(pressed.more, calls)),
                details=Spread.of(await _at_a_steady_rate(pressed.details, calls)),
            )
            pictures = _pictures(pg) - before
        if pg.violations:
            raise SystemExit(f"The stand-in complains: {pg.violations[:3]}")
    slowest = sorted(zip(loaded_autocomplete, texts, strict=True), reverse=True)
    return Latencies(
        entries=len(keys),
        idle_ack=Spread.of(idle_acks[1:]),
        ack=Spread.of(loaded_acks),
        idle_autocomplete=Spread.of(idle_autocomplete),
        autocomplete=Spread.of(loaded_autocomplete),
        presses=presses,
        own_stall_ms=max(own_stall),
        pictures=pictures,
        slowest=slowest[:10],
    )


def typed_texts(keys: Sequence[str], count: int, draw: random.Random) -> list[str]:
    """What users type into `lora`, a letter at a time: hits, misspelt words, nothing, lists."""
    texts: list[str] = []
    while len(texts) < count:
        key = draw.choice(keys)
        word = key.split("-")[draw.randrange(2)]
        kinds = (
            key[: draw.randint(1, len(key))],  # the start of a key
            draw.choice("aeiostxyz"),  # one letter, which nearly all or few have
            word[1:-1],  # the middle of a word
            word[:2] + word[3:] + "s",  # misspelt
            key.replace("-", " ").title(),  # as a name
            f"{word} {draw.choice(keys).split('-')[0]}",  # two words of different entries
            "qqq no such thing qqq"[: draw.randint(3, 21)],  # no match
            f"{draw.choice(keys)}:0.6, {word[:4]}",  # the second of a list
            "",
        )
        texts.append(kinds[len(texts) % len(kinds)])
    return texts


async def _imagine(user: User, number: int, keys: Sequence[str]) -> float:
    """Request a long job, in one of several ways; it must be accepted."""
    key, other = keys[number % len(keys)], keys[-1 - number % len(keys)]
    ways: tuple[dict[str, Any], ...] = (
        {},
        {"lora": f"{key}:0.6"},
        {"negative": "fog", "guidance": 6.5, "seed": number, "size": "3:4", "count": 2},
        {"lora": f"{key}, {other}:0.4", "seed": number},
    )
    if key == other:
        ways = ways[:-1]
    call = await user.slash("imagine", **{**LONG_JOB, **ways[number % len(ways)]})
    return _accepted(call)


def _accepted(call: Interaction) -> float:
    if call.ephemeral or call.ack_ms is None:
        raise SystemExit(f"Not accepted: {call}")
    return call.ack_ms


async def _one_picture(pg: Playground, user: User) -> float:
    """Request the quickest image there is, and wait until the bot is idle again."""
    call = await user.slash("imagine", prompt="a lamp", steps=1, size="64x64")
    took = _accepted(call)
    message = await call.wait(has_result, timeout=120)
    await pg.wait_for(lambda: len(message.reactions) == 2)
    await asyncio.sleep(0.05)
    return took


async def _result(user: User) -> Message:
    """The result of a long job: pressing for the same again then costs what /imagine does."""
    call = await user.slash("imagine", **LONG_JOB)
    _accepted(call)
    return await call.wait(has_result, timeout=120)


@contextlib.asynccontextmanager
async def _painting(pg: Playground, calls: int) -> AsyncIterator[None]:
    """Keep the bot busy with long jobs of other users, enough of them for all series of calls."""
    others = [pg.user(f"painter-{number}") for number in range(5)]
    for number in range(3 + round(SERIES * calls / RATE / LONG_JOB_SECONDS)):
        _accepted(await others[number % 5].slash("imagine", **LONG_JOB))
    await pg.wait_message(_shows_a_step, timeout=120)
    yield
    # It must still be busy, or these would be figures of an idle bot. Between two jobs no message
    # shows a step, so wait a moment.
    await pg.wait_message(_shows_a_step, timeout=30)


def _shows_a_step(message: Message) -> bool:
    names = [field["name"] for embed in message.embeds for field in embed.get("fields", [])]
    return any(name.startswith("Step ") for name in names)


def _pictures(pg: Playground) -> int:
    return sum(has_result(message) for message in pg.messages())


async def _at_a_steady_rate(call: Call, count: int) -> list[float]:
    """Milliseconds of `count` calls, made RATE times a second however slow the answers are."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    tasks: list[asyncio.Task[float]] = []
    for number in range(count):
        await asyncio.sleep(begin + number / RATE - loop.time())
        tasks.append(asyncio.create_task(call(number)))
    return await asyncio.gather(*tasks)


@contextlib.asynccontextmanager
async def _own_stall() -> AsyncIterator[list[float]]:
    """Milliseconds by which this process's own loop was late, which the latencies include."""
    lags = [0.0]

    async def tick() -> None:
        while True:
            due = time.perf_counter() + 0.005
            await asyncio.sleep(0.005)
            lags.append((time.perf_counter() - due) * 1000)

    ticking = asyncio.create_task(tick())
    try:
        yield lags
    finally:
        ticking.cancel()


# The event loop


async def loop_lags(home: Home, seconds: float) -> Lags:
    """Run benchmarks.lag in a separate process and return its figures."""
    home.folder.mkdir(parents=True)
    command = ("benchmarks.lag", "--seconds", str(seconds))
    return Lags.from_json(await _output(home, command, 120 + 10 * seconds))


async def first_reading(home: Home, models: Path) -> Reading:
    """Run benchmarks.first_start in a separate process and return its figures."""
    home.folder.mkdir(parents=True)
    command = ("benchmarks.first_start",)
    return Reading.from_json(await _output(home, command, 900, IMAGEN_MODELS_DIR=str(models)))


async def _output(home: Home, command: Sequence[str], seconds: float, **settings: str) -> str:
    """What `python -m command…` prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        env=home.environment(PYTHONPATH=str(ROOT), **settings),
        cwd=home.folder,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}")
    return output.decode()


async def measure(options: argparse.Namespace, folder: Path) -> Report:
    """Take all measurements, one after the other."""
    load = machine.load_average()
    many, few = folder / "many", folder / "few"
    many_keys, few_keys = write_catalog(many, options.entries), write_catalog(few, FEW_ENTRIES)
    homes = (folder / f"home-{number}" for number in itertools.count())

    known, unknown = folder / "known", folder / "unknown"
    write_loras(known / "loras", options.entries)
    write_loras(unknown / "loras", options.unknown)
    _say(f"an earlier start: reading {options.entries} files")
    earlier = KeptFacts.within(folder)
    await asyncio.to_thread(LiveCatalog, few, known, "default", earlier)
    _say(f"starts: {options.starts} of each kind")
    bot, small, bare = await starts(
        next(homes),
        (
            Kind(options.entries, few, models=known, facts=earlier.file),
            Kind(FEW_ENTRIES, few),
            Kind(0, few, BARE_BOT),
        ),
        options.starts,
    )
    [first] = await starts(next(homes), [Kind(options.unknown, few, models=unknown)], 1)
    _say(f"the first start with {options.unknown} files")
    reading = await first_reading(Home(next(homes), few), unknown)
    _say(f"latencies: {options.calls} calls of each kind, {options.entries} LoRAs")
    loaded = await latencies(Home(next(homes), many), many_keys, options.calls)
    _say(f"latencies: the same with {FEW_ENTRIES} LoRAs")
    light = await latencies(Home(next(homes), few), few_keys, options.calls)
    _say(f"the event loop: {options.seconds:g} s of each kind")
    lags = await loop_lags(Home(next(homes), many), options.seconds)
    return Report(
        machine=machine.describe(),
        load_average=load,
        threads=os.environ.get("OMP_NUM_THREADS", "1"),
        rate=RATE,
        start=bot,
        small_start=small,
        bare_start=bare,
        first_start=first,
        reading=reading,
        latencies=loaded,
        small_latencies=light,
        lags=lags,
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def grammar() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="of each kind (default 500)")
    parser.add_argument("--entries", type=int, default=10_000, help="LoRAs (default 10000)")
    parser.add_argument("--unknown", type=int, default=3_000, help="LoRAs at a first start")
    parser.add_argument("--starts", type=int, default=5, help="of each kind (default 5)")
    parser.add_argument("--seconds", type=float, default=15, help="per phase of the event loop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    return parser


def main() -> int:
    """Returns 1 when a goal was missed."""
    options = grammar().parse_args()
    with tempfile.TemporaryDirectory(prefix="imagen-bench-") as folder:
        report = asyncio.run(measure(options, Path(folder)))
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    if options.write:
        write_into(FIGURES, "responsiveness", table(report))
    missed = [row.what for row in report.rows() if row.met is False]
    for what in missed:
        _say(f"MISSED: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
