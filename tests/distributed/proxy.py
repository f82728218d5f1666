"""A network that can be cut, or slow: a TCP proxy in front of the broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

CHUNK = 65_536
PACKET = 4_096
"""Bytes at once where it is slow."""


class Proxy:
    """While it is cut, nothing passes; connections stay open, as they do if a cable is pulled.

    held: how much was to pass meanwhile, in pieces. rate: bytes per second each way, of all
    connections together; None: as many as may be. sent: how many have passed to the broker.
    """

    def __init__(self, target: int, rate: float | None) -> None:
        self.port = self.held = self.sent = 0
        self.rate = rate
        self._target = target
        self._there, self._back = asyncio.Lock(), asyncio.Lock()
        self._flows = asyncio.Event()
        self._flows.set()

    @classmethod
    @asynccontextmanager
    async def before(cls, target: int, rate: float | None = None) -> AsyncIterator[Self]:
        """target: the broker's port."""
        proxy = cls(target, rate)
        tasks: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", proxy._target)
                there_to = proxy._pass(reader, back, proxy._there)
                await asyncio.gather(there_to, proxy._pass(there, writer, proxy._back))

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        self._flows.clear()

    def mend(self) -> None:
        self._flows.set()

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, line: asyncio.Lock
    ) -> None:
        try:
            while data := await source.read(PACKET if self.rate else CHUNK):
                self.held += not self._flows.is_set()
                if self.rate:
                    async with line:  # in turn, as packets of several connections go
                        await asyncio.sleep(len(data) / self.rate)
                await self._flows.wait()
                self.sent += len(data) if line is self._there else 0
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()
