"""The server: uvicorn in the bot's own event loop."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from bot.api.connections import HEAD_MAX, PLACES, Connection, look_after
from bot.api.loopback import is_loopback
from bot.errors import SettingsError
from bot.store import Store
from bot.supervision import supervised

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 8009
BACKLOG: Final = 256
"""Connections that are taken at once, while nothing else runs."""
KEEP_ALIVE: Final = 75
"""Seconds that an idle connection stays open."""
CLOSE_WITHIN: Final = 2
"""Seconds that open calls are given when the process ends."""


class _Server(uvicorn.Server):
    """The process handles its signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(app: ASGIApp, store: Store, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app` while the block lasts; yields the port.

    Raises SettingsError if the port cannot be opened, or if other machines could reach it although
    there are no keys.
    """
    listener = await asyncio.to_thread(_bind, host, port)
    if not is_loopback(listener.getsockname()[0]) and not await store.api_keys.needed():
        listener.close()
        raise SettingsError(
            f"IMAGEN_API_HOST: other machines can reach {host}, so callers need a key; make one "
            "first: python main.py keys add NAME"
        )
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        http=Connection,
        ws="none",
        h11_max_incomplete_event_size=HEAD_MAX,
        backlog=BACKLOG,
        limit_concurrency=PLACES + 1,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=CLOSE_WITHIN,
    )
    # It warns of every request that is not HTTP, so strangers could fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    server = _Server(config)
    serve = partial(server.serve, sockets=[listener])
    serving = asyncio.create_task(supervised("HTTP", serve, again=False))  # a server serves once
    look = partial(look_after, server.server_state.connections)
    looking = asyncio.create_task(supervised("looking after connections", look))
    try:
        port = int(listener.getsockname()[1])
        log.info("listening on http://%s:%d", host, port)
        yield port
    finally:
        looking.cancel()
        server.should_exit = True
        await asyncio.wait({serving})
        listener.close()


def _bind(host: str, port: int) -> socket.socket:
    """A socket that does not listen yet. Raises SettingsError."""
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(
            f"IMAGEN_API_PORT: port {port} of {host} cannot be opened: {error.strerror}"
        ) from error
    return listener
