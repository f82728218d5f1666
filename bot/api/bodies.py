"""Request bodies: strict JSON. What two readers could understand differently is refused."""

import json
from typing import Any, Final, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute

from bot.errors import InvalidRequest

DEPTH_MAX: Final = 32
BODY: Final = "body"
"""The field that errors about the whole body name."""


def strict_json(data: bytes) -> Any:
    """Parse JSON. Raises InvalidRequest for anything but UTF-8 JSON as RFC 8259 has it, for keys
    that are there twice, and beyond DEPTH_MAX levels."""
    try:
        value = json.loads(
            data.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except RecursionError:
        raise InvalidRequest(BODY, "api.body.deep", max=DEPTH_MAX) from None
    except UnicodeDecodeError:
        raise InvalidRequest(BODY, "api.body.encoding") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(BODY, "api.body.json", line=error.lineno, column=error.colno) from None
    except ValueError:  # a number of thousands of digits
        raise InvalidRequest(BODY, "api.body.number", value="…") from None
    if _depth(value) > DEPTH_MAX:
        raise InvalidRequest(BODY, "api.body.deep", max=DEPTH_MAX)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidRequest(key[:100], "api.body.twice")
        found[key] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise InvalidRequest(BODY, "api.body.number", value=text)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth


class StrictRequest(Request):
    """A request whose JSON is read by `strict_json`."""

    async def json(self) -> Any:
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """A route whose handlers get a StrictRequest; see FastAPI's docs, "Custom Request and APIRoute
    class"."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Any:
            return await handle(StrictRequest(request.scope, request.receive))

        return strictly
