"""A parsed request, and the route that leads to its handler."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

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
        """A path parameter as an id; 0, which no object has, if it is not a number."""
        value = self.params[name]
        return int(value) if value.isdigit() else 0

    @property
    def where(self) -> str:
        """For messages: the method and path, with long tokens masked."""
        return f"{self.method} {re.sub(r'/[A-Za-z0-9_-]{60,}', '/<token>', self.path)}"

    def object(self) -> JsonObject:
        """The JSON body, {} if there is none."""
        return self.body if isinstance(self.body, dict) else {}


# The body of the response; None for 204.
Answer = Any
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """A method, a path with ``{variables}`` and its handler; ``token``: only for the bot."""

    method: str
    path: str
    handler: Handler
    token: bool = True
