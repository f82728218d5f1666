"""Which function answers which request."""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from playground.core import Core, Upload

JsonObject = dict[str, Any]


@dataclass
class Call:
    """One request, read and parsed."""

    core: Core
    method: str
    path: str
    query: dict[str, str]
    body: Any = None
    files: dict[int, Upload] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)

    def id(self, name: str) -> int:
        """A path parameter as an id; 0, which is nobody's, if it is none."""
        value = self.params[name]
        return int(value) if value.isdigit() else 0

    @property
    def where(self) -> str:
        """For messages: the method and path, long tokens left out."""
        return f"{self.method} {re.sub(r'/[A-Za-z0-9_-]{60,}', '/<token>', self.path)}"

    def object(self) -> JsonObject:
        """The JSON body, {} if there is none."""
        return self.body if isinstance(self.body, dict) else {}


# The body of the answer; None is 204.
Answer = Any
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """A method, a path with ``{variables}``, and who answers."""

    method: str
    template: str
    handler: Handler
    token: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        text = "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
        return re.compile(text + r"\Z")


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route.pattern, route) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and its decoded variables; None if nobody answers that."""
        for pattern, route in self._routes:
            if route.method == method and (match := pattern.match(path)):
                return route, {k: unquote(v) for k, v in match.groupdict().items()}
        return None
