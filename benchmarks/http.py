"""Measure how quickly `POST /generate` is acknowledged, and what that costs people on Discord.

`python -m benchmarks.http` starts the real bot process, with the HTTP interface beside Discord, and
the playground in place of Discord. It calls `/generate` and `/status` at a steady rate: first while
nothing else is done, then while images are generated; and `/imagine` alone, and beside such calls.
The calling process shares the CPU with the bot.
"""

import argparse
import asyncio
import gc
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import machine
from benchmarks.bot_process import Home, bot_process, playground, write_catalog
from benchmarks.page import FIGURES, write_into
from benchmarks.spread import Spread
from playground import Playground

RATE = 20.0
"""Calls per second, made whether or not the earlier ones were answered."""
LONG: dict[str, Any] = {"prompt": "a lighthouse in heavy rain", "steps": 100, "count": 4}
ROOMY = {
    "IMAGEN_QUEUE_SIZE": "10000",
    "IMAGEN_QUEUE_PER_USER": "1000",
    "IMAGEN_API_QUEUE_PER_KEY": "10000",
}

Call = Callable[[int], Awaitable[object]]


async def timed(call: Call, count: int) -> list[float]:
    """Milliseconds that each of `count` calls took, made at RATE."""

    async def one(number: int) -> float:
        begin = time.perf_counter()
        await call(number)
        return (time.perf_counter() - begin) * 1000

    running = []
    for number in range(count):
        running.append(asyncio.create_task(one(number)))
        await asyncio.sleep(1 / RATE)
    return await asyncio.gather(*running)


async def measure(folder: Path, calls: int) -> dict[str, Spread]:
    """All rows."""
    catalog = folder / "catalog"
    write_catalog(catalog, 10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rows: dict[str, list[float]] = {}
    async with (
        playground() as pg,
        bot_process(pg, Home(folder / "home", catalog), IMAGEN_API_PORT=str(port), **ROOMY),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as api,
    ):
        await pg.wait_online(timeout=60)
        await pg.wait_commands("imagine", timeout=60)
        gc.freeze()
        jobs: list[str] = []

        async def generate(_: int) -> None:
            answer = await api.post("/generate", json=LONG)
            jobs.append(answer.raise_for_status().json()["job_id"])

        async def status(number: int) -> None:
            (await api.get(f"/status/{jobs[number % len(jobs)]}")).raise_for_status()

        async def both(number: int) -> None:
            await (generate if number % 2 else status)(number)

        await pg.user("first").slash("imagine", prompt="warm up")
        await _imagine(pg)
        rows["`/imagine`, alone"] = await timed(lambda _: _imagine(pg), calls)
        rows["`POST /generate` while generating"] = await timed(generate, calls)
        rows["`GET /status` while generating"] = await timed(status, calls)
        beside = asyncio.create_task(timed(both, calls))
        rows["`/imagine`, beside as many calls over HTTP"] = await timed(
            lambda _: _imagine(pg), calls
        )
        await beside
    return {name: Spread.of(took) for name, took in rows.items()}


async def _imagine(pg: Playground) -> None:
    call = await pg.user("ada").slash("imagine", **LONG)
    assert call.message is not None


def report(rows: dict[str, Spread]) -> str:
    """The table."""
    lines = ["| call | p50 / p99 / max |", "|---|---|"]
    lines += [f"| {name} | {spread} |" for name, spread in rows.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300, metavar="N")
    parser.add_argument("--write", action="store_true", help="put the table into docs/figures.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), options.calls))
    text = (
        f"{report(rows)}\n\n{options.calls} calls each, {RATE:g} a second. Goal: p99 of "
        f"`POST /generate` ≤ 100 ms. Measured on {machine.describe()}. Load at the end: "
        f"{machine.load_average() or 0:.2f}."
    )
    print(text)
    if options.write:
        write_into(FIGURES, "http", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
