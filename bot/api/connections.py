"""Connections: as uvicorn's, but none may hold on to a place for nothing.

Uvicorn waits for ever for the rest of a request, and for a client that does not read its answer. A
few hundred of those would use up all places.
"""

import asyncio
import logging
import socket
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

PLACES: Final = 512
"""Connections at once. For one more, those are closed that have waited longest for a request."""
MADE_FREE: Final = 32
"""How many are closed then: to look for them takes time."""
HEAD_MAX: Final = 32 * 1024
"""Bytes of a request's first line and headers, if they come in pieces."""
HEAD_WITHIN: Final = 10.0
"""Seconds from a request's first byte, or from the connection, to the end of its headers."""
BODY_WITHIN: Final = 15.0
"""Seconds for a body, and one more for every RATE_MIN bytes that have come."""
RATE_MIN: Final = 16 * 1024
READ_WITHIN: Final = 30.0
"""Seconds in which a client has to read something of its answer."""
UNREAD_MAX: Final = 256 * 1024
"""Bytes of an answer that the system keeps for a client; Linux takes twice as much."""
LINGER: Final = 10.0
"""Seconds for the rest of a body that was answered without being read: a client that is still
sending would not see the answer if the connection were closed at once."""
EVERY: Final = 1.0
"""Seconds between two looks at all connections."""


class Phase(Enum):
    """What a connection waits for. IDLE: the next request, for as long as uvicorn allows."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    READER = auto()
    REST = auto()
    IDLE = auto()
    END = auto()


ALLOWED: Final = {
    Phase.HEAD: HEAD_WITHIN,
    Phase.BODY: BODY_WITHIN,
    Phase.READER: READ_WITHIN,
    Phase.REST: LINGER,
    Phase.END: READ_WITHIN,
}
"""Seconds for each phase that depends on the client."""
EVICTABLE: Final = (Phase.HEAD, Phase.IDLE, Phase.REST, Phase.END)
"""Phases of connections that are not being served."""


class Connection(H11Protocol):
    """What uvicorn creates for each connection. `look_after` has to run beside it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._now_in: tuple[Phase, object, bool] = (Phase.HEAD, None, False)
        self._since = self.loop.time()
        self._came = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= PLACES:
            make_room(self.connections)
        # Or megabytes would have to be read before the system tells of any.
        own: socket.socket = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_MAX)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        super().data_received(data)

    @property
    def phase(self) -> Phase:
        if self.transport.is_closing():
            return Phase.END
        if not self.cycle:  # uvicorn's type says that it is always there
            return Phase.HEAD
        body_came = self.conn.their_state is not h11.SEND_BODY
        if not self.cycle.response_complete:
            if self.flow.write_paused:
                return Phase.READER
            # While nothing is taken from it, it is not the client that is slow.
            return Phase.ANSWER if body_came or self.flow.read_paused else Phase.BODY
        if not body_came:
            return Phase.REST
        return Phase.HEAD if self.conn.trailing_data[0] else Phase.IDLE

    @property
    def since(self) -> float:
        """When its phase was first seen."""
        return self._since

    def overdue(self, now: float) -> bool:
        """Whether the client has had its time. To be called again and again."""
        phase = self.phase
        # The same phase of another request is another, and so is one between two pauses.
        now_in = (phase, self.cycle, self.flow.write_paused)
        if now_in != self._now_in:
            self._now_in, self._since, self._came = now_in, now, 0
        if (allowed := ALLOWED.get(phase)) is None:
            return False
        if phase is Phase.BODY:
            allowed += self._came / RATE_MIN
        return now - self._since > allowed

    def resume_writing(self) -> None:
        self._since = self.loop.time()
        super().resume_writing()

    def cut(self) -> None:
        """Close the connection without another word."""
        self.connections.discard(self)
        self.transport.abort()


def make_room(connections: Iterable[object]) -> None:
    """Cut those that wait longest and are not being served, MADE_FREE at most."""
    waiting = [
        each for each in connections if isinstance(each, Connection) and each.phase in EVICTABLE
    ]
    for each in sorted(waiting, key=lambda each: each.since)[:MADE_FREE]:
        each.cut()


async def look_after(connections: Iterable[object]) -> None:
    """Cut clients that are too slow, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(EVERY)
        now = loop.time()
        late = [each for each in connections if isinstance(each, Connection) and each.overdue(now)]
        for each in late:
            each.cut()
        if late:
            log.debug("%d connections were too slow and are closed", len(late))
