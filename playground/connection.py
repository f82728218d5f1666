"""One socket of the gateway, and the session that it belongs to.

One ``Session`` per IDENTIFY; it outlives its socket so that RESUME can replay missed events.
"""

import asyncio
import json
import math
import secrets
from collections import deque
from typing import Any

from aiohttp import web

from playground.compression import compressor

JsonObject = dict[str, Any]

SENDS, SENDS_WINDOW = 120, 60.0
PRESENCES_SENT, PRESENCES_WINDOW = 5, 20.0


class Connection:
    """One socket. All writes go through one queue: a compressed stream must stay in order."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.received: deque[float] = deque(maxlen=SENDS + 1)
        self.presences: deque[float] = deque(maxlen=PRESENCES_SENT + 1)
        self.heartbeat_due = math.inf
        self._request = request
        self._compressor = compressor(request.query.get("compress"))
        self._queue: asyncio.Queue[JsonObject | int] = asyncio.Queue()
        self._saying_goodbye = False
        self._writer = asyncio.create_task(self._write())

    def send(self, payload: JsonObject) -> None:
        self._queue.put_nowait(payload)

    def close(self, code: int) -> None:
        """Close with ``code`` once everything queued has been sent."""
        self._queue.put_nowait(code)

    def abort(self) -> None:
        """Kill the TCP connection without a close frame."""
        self._writer.cancel()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _write(self) -> None:
        while True:
            item = await self._queue.get()
            if isinstance(item, int):
                self._saying_goodbye = True
                await self.socket.close(code=item)
                return
            text = json.dumps(item, separators=(",", ":"))
            try:
                if self._compressor is None:
                    await self.socket.send_str(text)
                else:
                    await self.socket.send_bytes(self._compressor.frame(text))
            except (ConnectionError, RuntimeError):
                return

    async def stop(self) -> None:
        # Cancelled in the middle of closing, the other side would never get the code.
        if not self._saying_goodbye:
            self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)


class Session:
    """A session, begun by one IDENTIFY."""

    def __init__(self, intents: int, shard: tuple[int, int], connection: Connection) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.shard = shard
        self.connection: Connection | None = connection
        self.ready = False
        self.seq = 0
        self.events: deque[JsonObject] = deque(maxlen=2000)

    def dispatch(self, event: str, data: JsonObject) -> None:
        """Number an event, keep it for RESUME, and send it if connected."""
        self.seq += 1
        payload = {"op": 0, "t": event, "s": self.seq, "d": data}
        self.events.append(payload)
        if self.connection is not None:
            self.connection.send(payload)

    def serves(self, guild_id: int | None) -> bool:
        """DMs belong to shard 0, a guild to shard (id >> 22) % count."""
        number, count = self.shard
        return number == ((guild_id >> 22) % count if guild_id else 0)
