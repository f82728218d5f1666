"""Measures how soon a process of the bot is online, and answers."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.bot_process import Home, bot_process, playground
from benchmarks.figures import Start, Starts

BARE_BOT = ("-P", str(Path(__file__).with_name("bare_bot.py")))
"""-P, because its own folder would be searched first, and has an http.py."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is started: the bot with a catalog of `entries` LoRAs, or another command.

    models: the models folder; None for an empty one. facts: what an earlier start has kept about
    the files in it; None if it is the first.
    """

    entries: int
    catalog: Path
    command: tuple[str, ...] = ()
    models: Path | None = None
    facts: Path | None = None


async def starts(folder: Path, kinds: Sequence[Kind], count: int) -> list[Starts]:
    """Start each kind `count` times, alternating, each time in an empty folder.

    One more start of each comes first and is not counted: it fills the page cache.
    """
    rounds = [
        [
            await _start(Home(folder / f"{turn}-{n}", kind.catalog), kind)
            for n, kind in enumerate(kinds)
        ]
        for turn in range(count + 1)
    ]
    return [
        _medians(kind, found)
        for kind, found in zip(kinds, zip(*rounds[1:], strict=True), strict=True)
    ]


def _medians(kind: Kind, found: Sequence[Start]) -> Starts:
    imported = [start.torch for start in found]
    return Starts(
        entries=kind.entries,
        online=median(start.online for start in found),
        answered=median(start.answered for start in found),
        autocomplete_ms=median(start.autocomplete_ms for start in found),
        torch=None if None in imported else any(imported),
    )


async def _start(home: Home, kind: Kind) -> Start:
    if kind.facts:
        home.data.mkdir(parents=True)
        shutil.copy(kind.facts, home.data)
    settings = {"IMAGEN_MODELS_DIR": str(kind.models)} if kind.models else {}
    async with playground() as pg:
        begin = time.perf_counter()
        async with bot_process(pg, home, *kind.command, **settings) as process:
            await pg.wait_online(timeout=60)
            online = time.perf_counter() - begin
            await pg.wait_commands("models", timeout=60)
            await pg.user("ada").slash("models")
            answered = time.perf_counter() - begin
            torch = _has_torch(process.pid)
            begin = time.perf_counter()
            if not kind.command:
                await pg.user("ada").autocomplete("imagine", "lora", "wat")
            return Start(online, answered, (time.perf_counter() - begin) * 1000, torch)


def _has_torch(pid: int) -> bool | None:
    """Whether process `pid` has loaded torch; None where the system does not tell."""
    try:
        return "libtorch" in Path(f"/proc/{pid}/maps").read_text("utf-8", errors="replace")
    except OSError:
        return None
