"""Request bodies: strict JSON. What two readers could understand differently is refused."""

import asyncio
import codecs
import json
from collections.abc import Callable
from math import isinf
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute

from bot.api import large_json
from bot.api.errors import BodyTooLarge
from bot.api.gate import SMALL_MAX, Gate
from bot.errors import InvalidRequest

P = ParamSpec("P")
T = TypeVar("T")

DEPTH_MAX: Final = 32
VALUES_MAX: Final = 100_000
"""Values and escapes in a body: more would hold up everything else in this process."""
DIGITS_MAX: Final = 40
"""Of a number. Longer ones would be repeated in errors and logs."""
LARGE: Final = 2**18
"""Bytes of a body, or characters of its images, that are read in another thread."""
BODY: Final = "body"
"""The field that errors about the whole body name."""

_MARKS: Final = (b",", b":", b"[", b"{", b"\\")


async def aside(size: int, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """What `work` returns; run in another thread if it has LARGE bytes or more to read."""
    if size < LARGE:
        return work(*given, **named)
    return await asyncio.to_thread(work, *given, **named)


def strict_json(data: bytes) -> Any:
    """Parse JSON. Raises InvalidRequest for anything but UTF-8 JSON as RFC 8259 has it, for keys
    that are there twice, for half a surrogate pair, for numbers beyond a double's, and beyond
    DEPTH_MAX levels or VALUES_MAX values; BodyTooLarge beyond SMALL_MAX bytes without images."""
    if sum(large_json.count(data, mark) for mark in _MARKS) > VALUES_MAX:
        raise InvalidRequest(BODY, "api.body.many", max=VALUES_MAX)
    try:
        value = _parsed(data.removeprefix(codecs.BOM_UTF8))
    except large_json.RestTooLarge:
        raise BodyTooLarge("api.http.large") from None
    except RecursionError:
        raise InvalidRequest(BODY, "api.body.deep", max=DEPTH_MAX) from None
    except UnicodeDecodeError:
        raise InvalidRequest(BODY, "api.body.encoding") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(BODY, "api.body.json", line=error.lineno, column=error.colno) from None
    _look_through(value)
    return value


def _parsed(data: bytes) -> Any:
    if len(data) < LARGE:
        return _DECODER.decode(data.decode())
    return large_json.decode(data, _DECODER, rest_max=SMALL_MAX)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            _no_surrogate(key)
            raise InvalidRequest(key[:100], "api.body.twice")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise InvalidRequest(BODY, "api.body.number", value=text)


def _int(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise InvalidRequest(BODY, "api.body.number", value=f"{text[:DIGITS_MAX]}…")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if isinf(value) or len(text) > 2 * DIGITS_MAX:
        raise InvalidRequest(BODY, "api.body.number", value=text[:DIGITS_MAX])
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_float, parse_int=_int
)


def _look_through(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        inner: list[Any] = []
        for each in level:
            if isinstance(each, str):
                _no_surrogate(each)
            elif isinstance(each, dict | list) and depth > DEPTH_MAX:
                raise InvalidRequest(BODY, "api.body.deep", max=DEPTH_MAX)
            elif isinstance(each, dict):
                for key in each:
                    _no_surrogate(key)
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = inner


def _no_surrogate(text: str) -> None:
    """JSON can escape one half of a pair, which is no character, and which no answer can repeat."""
    if text.isascii():
        return
    try:
        for begin in range(0, len(text), LARGE):
            text[begin : begin + LARGE].encode()
    except UnicodeEncodeError:
        raise InvalidRequest(BODY, "api.body.encoding") from None


class StrictRequest(Request):
    """A request whose JSON is read by `strict_json`."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            parts = [part async for part in self.stream()]
            self._body = await aside(sum(map(len, parts)), b"".join, parts)
        return self._body

    async def json(self) -> Any:
        data = await self.body()
        return await aside(len(data), strict_json, data)


class StrictRoute(APIRoute):
    """A route that lets its callers' bodies through the application's gate, and whose handlers get
    a StrictRequest; see FastAPI's docs, "Custom Request and APIRoute class"."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Any:
            gate: Gate = request.app.state.gate
            async with gate.let_in(request) as receive:
                return await handle(StrictRequest(request.scope, receive))

        return strictly
