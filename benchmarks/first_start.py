"""Measure how files that are not known yet are read after the start: `python -m
benchmarks.first_start` runs the product's backend with the settings from the environment and a
ticker on the same loop until all of them are read, and prints one JSON object.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Self

from benchmarks.lag import Lag, Ticker
from bot.backend import Backend
from bot.settings import Settings
from bot.worker.observers import Observers

IDLE = 10.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """lag: of the event loop; idle: when nothing is left to do. cpu: seconds of this process.
    cpu_of_reader: of the one that reads.
    """

    files: int
    lag: Lag
    idle: Lag
    cpu: float
    cpu_of_reader: float

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "lag": Lag(**fields["lag"]), "idle": Lag(**fields["idle"])})


async def measure(settings: Settings) -> Reading:
    """Raises TimeoutError after ten minutes."""
    ticker = Ticker()
    async with Backend.open(settings) as backend:
        unread = len(backend.catalog.current.unread)
        ticking = asyncio.create_task(ticker.run())
        begin, before = time.perf_counter(), os.times()
        async with backend.generating(backend.workers(Observers())), asyncio.timeout(600):
            while backend.catalog.current.unread:  # noqa: ASYNC110 – it tells no one
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)  # until the reader has ended, and is counted
            end, after = time.perf_counter(), os.times()
            await asyncio.sleep(IDLE)
        ticking.cancel()
    return Reading(
        files=unread,
        lag=ticker.between(begin, end),
        idle=ticker.between(end, end + IDLE),
        cpu=after.user + after.system - before.user - before.system,
        cpu_of_reader=after.children_user + after.children_system,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measure(Settings.load())))))
