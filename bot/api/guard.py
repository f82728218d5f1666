"""Guard: what is refused before a route is looked up, for whoever calls."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.api.callers import is_loopback
from bot.api.errors import BodyTooLarge, CallError, Forbidden, answer_to
from bot.api.languages import speaker_for
from bot.api.refusals import Refusals
from bot.texts.language import Texts


class Guard:
    """An ASGI application before another.

    A website that a member of the household opens can make their browser call this server. It is
    told by its `Origin`; or, if its own name was made to point to this machine (DNS rebinding), by
    its `Host`.

    body_max: bytes that a body may have; one that does not say its size is cut off by FastAPI.
    hosts: names under which the server may be called, beyond localhost and plain addresses.
    origins: of websites whose scripts may call it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        texts: Texts,
        refusals: Refusals,
        body_max: int,
        hosts: Collection[str],
        origins: Collection[str],
    ) -> None:
        self._app = app
        self._texts = texts
        self._refusals = refusals
        self._body_max = body_max
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            error = self._refusal(request)
            if error is not None:
                answer = answer_to(error, speaker_for(self._texts, request))
                await self._refusals.response(request, answer)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> CallError | None:
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._body_max:
            return BodyTooLarge("api.http.large")
        host = request.headers.get("host", "")
        name = _name_of(host)
        if not self._known(name):
            return Forbidden("api.host", value=name[:100])
        origin = request.headers.get("origin")
        if origin is None or origin in self._origins:
            return None
        if urlsplit(origin).netloc.lower() == host.lower():
            return None
        return Forbidden("api.origin", value=origin[:100])

    def _known(self, name: str) -> bool:
        return name in self._hosts or is_loopback(name) or _is_address(name)


def _name_of(host: str) -> str:
    """A `Host` header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
