"""Guard: what is refused before a route is looked up, no matter who calls."""

import ipaddress
import logging
import re
import traceback
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.api.errors import (
    AmbiguousCall,
    BodyTooLarge,
    CallError,
    Forbidden,
    HeadTooLarge,
    answer_to,
)
from bot.api.languages import speaker_for
from bot.api.loopback import is_loopback
from bot.api.refusals import Refusals
from bot.texts.language import Texts

log = logging.getLogger(__name__)

HEAD_MAX: Final = 32 * 1024
"""Bytes of a request's headers."""
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer: none is to be taken for a page or a script, or shown within another's page."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:@/\\?#]+?)\.?(?::[0-9]*)?")
_LINKS: Final = "/v1/images/"
"""Paths of images that other websites may show, because their addresses are secrets."""


class Guard:
    """An ASGI application before another.

    A website that a member of the household opens can make their browser call this server. It is
    told by its `Origin`, which browsers omit when they only fetch an image, and by
    `Sec-Fetch-Site`; or, if its own name was made to point to this machine (DNS rebinding), by its
    `Host`.

    What goes wrong in the other application is logged without what the error says, which may quote
    a prompt or a key.

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
        self._hosts = frozenset(map(name_of, hosts)) - {""}
        self._origins = frozenset(map(plain_origin, origins))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope)
        error = self._refusal(request)
        if error is not None:
            answer = answer_to(error, speaker_for(self._texts, request))
            response = self._refusals.response(request, answer)
            # Where its body would end is unclear. Any other is taken and dropped, or a caller that
            # is still sending it would not see the answer.
            if isinstance(error, AmbiguousCall):
                response.headers["Connection"] = "close"
            await response(scope, receive, send_safely)
            return
        try:
            await self._app(scope, receive, send_safely)
        except ClientDisconnect:
            log.debug("a caller has gone")
        except Exception as failure:
            # It has been answered by now, if that was still possible.
            where = "".join(traceback.format_tb(failure.__traceback__))
            log.error("a call failed with %s:\n%s", type(failure).__qualname__, where)

    def _refusal(self, request: Request) -> CallError | None:
        size = sum(len(name) + len(value) + 4 for name, value in request.headers.raw)
        if size + len(request.scope["raw_path"]) + len(request.scope["query_string"]) > HEAD_MAX:
            return HeadTooLarge("api.http.head", max=HEAD_MAX)
        length = request.headers.get("content-length")
        if length is not None and "transfer-encoding" in request.headers:
            return AmbiguousCall("api.http.framing")
        if length is not None and length.isdecimal() and int(length) > self._body_max:
            return BodyTooLarge("api.http.large")
        host = request.headers.get("host", "")
        if not self._known(name_of(host)):
            return Forbidden("api.host", value=host[:100])
        return self._website(request, host)

    def _website(self, request: Request, host: str) -> CallError | None:
        origin = request.headers.get("origin")
        if origin is None:
            site, mode = (request.headers.get(f"sec-fetch-{name}") for name in ("site", "mode"))
            if site != "cross-site" or mode == "navigate":
                return None
            shown = request.scope["path"].startswith(_LINKS)
            return None if shown else Forbidden("api.site")
        if plain_origin(origin) in self._origins:
            return None
        if urlsplit(origin).netloc.lower() == host.lower():
            return None
        return Forbidden("api.origin", value=origin[:100])

    def _known(self, name: str) -> bool:
        return name in self._hosts or is_loopback(name) or _is_address(name)


def name_of(host: str) -> str:
    """The name in a `Host` header, without port and final dot, in ASCII; empty if it has none."""
    if (match := _HOST.fullmatch(host.strip())) is None:
        return ""
    name = match[1].strip("[]").lower()
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return ""


def plain_origin(origin: str) -> str:
    """An origin as browsers send it."""
    scheme, separator, rest = origin.strip().rstrip("/").lower().partition("://")
    if not separator or rest.isascii():
        return f"{scheme}{separator}{rest}"
    name, colon, port = rest.partition(":")
    return f"{scheme}://{name_of(name)}{colon}{port}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
