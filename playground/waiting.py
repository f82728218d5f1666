"""Wait for a condition on the state, without polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Signal:
    """Wakes all waiters whenever something in the playground changes."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake all waiters to check again."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def changed(self) -> asyncio.Future[None]:
        """Done at the next change after this call."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        return waiter

    async def wait_for(
        self,
        look: Callable[[], T | None],
        timeout: float,
        describe: Callable[[], str],
    ) -> T:
        """Wait for ``look`` to return something truthy, and return that. After ``timeout`` seconds,
        raises TimeoutError with ``describe()`` as its message."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            found = look()
            if found:
                return found
            left = deadline - loop.time()
            if left <= 0:
                raise TimeoutError(describe())
            waiter = self.changed()
            try:
                await asyncio.wait([waiter], timeout=left)
            finally:
                self._waiters.discard(waiter)
                waiter.cancel()
