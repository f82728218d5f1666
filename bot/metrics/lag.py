"""Measures the lag of the event loop."""

import asyncio
from collections.abc import Callable
from typing import Never

INTERVAL = 0.25


async def measure_lag(observe: Callable[[float], None], interval: float = INTERVAL) -> Never:
    """Every `interval` seconds, call `observe` with the seconds that it is late; until cancelled.

    Of a stall, only the part after the next call was due is measured.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        observe(max(0.0, loop.time() - due))
