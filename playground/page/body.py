"""The body of a call, read with limits: whatever is sent, the answer says what is wrong with it."""

import json
import re
from typing import Any, NoReturn

JsonObject = dict[str, Any]
DEPTH_MAX = 32
"""The page nests 4 deep; what is much deeper cannot be told in an error message either."""
SHOWN = 100
_SURROGATE = re.compile("[\ud800-\udfff]")


class Malformed(Exception):
    """A call that the page would never make."""


def parse(raw: bytes) -> JsonObject:
    """The JSON object in `raw`. Raises Malformed."""
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("the body is not a JSON object")
    _check(body)
    return body


def shown(value: object) -> str:
    """`value` for an error message."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _check(body: JsonObject) -> None:
    """Refuse what is nested too deeply, infinite numbers, and text that no encoding holds."""
    level: list[object] = [body]
    for _ in range(DEPTH_MAX):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
                raise Malformed("the body has half a surrogate pair in a text")
            elif isinstance(value, float) and value in (float("inf"), float("-inf")):
                raise Malformed("the body has a number beyond any range")
        level = inner
        if not level:
            return
    raise Malformed(f"the body is nested deeper than {DEPTH_MAX} levels")


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
