"""The bot's HTTP interface with its files for workers, and what may go wrong on the way to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

from bot.api.app import application
from bot.api.callers import Callers
from bot.api.languages import speaker_for
from bot.api.parts import Parts
from bot.api.server import served
from bot.distributed.inventory import Inventory
from bot.health import Health
from bot.settings import Settings
from bot.store import Store
from tests.language import TEXTS


@dataclass
class Interface:
    """A running one. keys: secrets by what they are for."""

    url: str
    store: Store
    keys: dict[str, str] = field(default_factory=dict)


def settings_of(home: Path) -> Settings:
    return Settings.model_validate({"IMAGEN_DATA_DIR": home})


@asynccontextmanager
async def interface(home: Path, inventory: Inventory | None) -> AsyncIterator[Interface]:
    """Served on loopback while the block lasts."""
    texts = TEXTS
    async with Store.open(home / "x.sqlite3") as store:
        parts = Parts(
            desk=MagicMock(),  # nothing here asks for images
            callers=Callers(store),
            health=Health({}),
            speaker=partial(speaker_for, texts),
            inventory=inventory,
        )
        app = application(parts, texts, settings_of(home))
        async with served(app, store, "127.0.0.1", 0) as port:
            found = Interface(f"http://127.0.0.1:{port}", store)
            for name in ("worker", "other", "admin"):
                worker, admin = name != "admin", name == "admin"
                secret = await store.api_keys.add(name, worker=worker, admin=admin)
                assert secret is not None
                found.keys[name] = secret
            yield found


@asynccontextmanager
async def cutting(
    url: str, limits: list[int], held: asyncio.Event | None = None
) -> AsyncIterator[str]:
    """A way to `url` that is cut after so many bytes of answers: of each connection in turn; the
    last limit holds for all that follow, and -1 is none. Yields its own address.

    held: instead of being cut, nothing more comes until this is set.
    """
    port = int(url.rpartition(":")[2])
    open_ones: set[asyncio.StreamWriter] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def carry(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int = -1
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1024):
                if held is not None and 0 <= most < len(data):
                    await held.wait()
                    most = -1
                if most >= 0:
                    data, most = data[:most], max(0, most - len(data))
                writer.write(data)
                await writer.drain()
                if most == 0:
                    break

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        most = limits.pop(0) if len(limits) > 1 else limits[0]
        far, out = await asyncio.open_connection("127.0.0.1", port)
        open_ones.update((writer, out))
        asking = asyncio.create_task(carry(reader, out))
        try:
            await carry(far, writer, most)
        finally:
            for each in (writer, out):
                each.transport.abort()
            await asyncio.wait([asking])

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in open_ones:
            each.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(answer: Callable[[str], bytes]) -> AsyncIterator[str]:
    """Something that is not the bot: `answer` returns all bytes for a path."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(head.split()[1].decode()))
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def ok(body: bytes, headers: str = "") -> bytes:
    """A whole answer. headers: more of them, each with the end of its line."""
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body
