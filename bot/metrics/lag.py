"""How late the event loop comes to what is due."""

import asyncio
from collections.abc import Callable
from typing import Never

INTERVAL = 0.25


async def measure_lag(observe: Callable[[float], None], interval: float = INTERVAL) -> Never:
    """Tell `observe` every `interval` seconds how many seconds too late that is; until cancelled.

    A stall of the loop is seen whole when it begins right before a look is due, else in part.
    """
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        observe(max(0.0, loop.time() - due))
