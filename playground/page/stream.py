"""Streams changes to the page as they happen: server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import contextlib
import json
from typing import Any

from aiohttp import web

from playground.accounts import Account
from playground.core import Core
from playground.page import views

TOGETHER = 0.03
"""Seconds over which changes are batched: one REST request makes several."""
BREATH = 15.0
"""Seconds without changes until a keep-alive is sent, which detects a closed page."""


class Stream:
    """One page, as one user sees it. It gets everything once, then each difference."""

    def __init__(self, core: Core, viewer: Account, people: list[Account]) -> None:
        self._core = core
        self._viewer = viewer
        self._people = people
        self._world = ""
        self._known: dict[int, str] = {}

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send events until the page is closed."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await response.write(_event("begin", {}))
            while True:
                # Before looking, so that changes made while sending are not missed.
                changed = self._core.signal.changed()
                for event in self._differences():
                    await response.write(event)
                try:
                    await asyncio.wait_for(changed, BREATH)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                else:
                    await asyncio.sleep(TOGETHER)
        return response

    def _differences(self) -> list[bytes]:
        core, viewer = self._core, self._viewer
        events = []
        world = views.world(core, viewer, self._people)
        if (text := json.dumps(world)) != self._world:
            self._world = text
            events.append(_event("world", world))
        now: dict[int, str] = {}
        for entry in views.messages(core, viewer):
            shown = views.message(core, entry, viewer)
            now[entry.id] = json.dumps(shown)
            if now[entry.id] != self._known.get(entry.id):
                events.append(_event("message", shown))
        events += [_event("gone", {"id": str(i)}) for i in self._known.keys() - now.keys()]
        self._known = now
        return events


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
