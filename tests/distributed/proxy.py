"""A network that can be cut: a TCP proxy in front of the broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

CHUNK = 65_536


class Proxy:
    """While it is cut, nothing passes; connections stay open, as they do if a cable is pulled.

    held: how much was to pass meanwhile, in pieces.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.held = 0
        self._target = target
        self._flows = asyncio.Event()
        self._flows.set()

    @classmethod
    @asynccontextmanager
    async def before(cls, target: int) -> AsyncIterator[Self]:
        """target: the broker's port."""
        proxy = cls(target)
        tasks: set[asyncio.Task[None]] = set()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with suppress(OSError, asyncio.CancelledError):
                there, back = await asyncio.open_connection("127.0.0.1", proxy._target)
                await asyncio.gather(proxy._pass(reader, back), proxy._pass(there, writer))

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

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                self.held += not self._flows.is_set()
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.close()
