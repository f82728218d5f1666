"""Discord's error responses, and what a Discord client refuses to send.

Shapes and codes: https://docs.discord.com/developers/topics/opcodes-and-status-codes and
https://docs.discord.com/developers/reference#error-messages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

JsonObject = dict[str, Any]


class ApiError(Exception):
    """A response other than 2xx.

    ``expected`` marks one that the test itself caused (a fault, a denied permission, a message it
    deleted): it is sent like any other, but is not a violation.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: JsonObject | None = None,
        expected: bool = False,
        headers: dict[str, str] | None = None,
        extra: JsonObject | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors
        self.expected = expected
        self.headers = headers or {}
        self.extra = extra or {}

    def body(self) -> JsonObject:
        """The JSON body of the response."""
        answer: JsonObject = {"message": self.message, "code": self.code, **self.extra}
        if self.errors:
            answer["errors"] = self.errors
        return answer


class Dropped(ApiError):
    """No response at all: the connection is cut, at a test's request."""

    def __init__(self) -> None:
        super().__init__(0, 0, "the connection was cut", expected=True)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a body: where, Discord's code for it, and a message.

    ``refused`` is False for what Discord accepts but a correct client never sends.
    """

    path: tuple[str | int, ...]
    code: str
    message: str
    refused: bool = True

    def __str__(self) -> str:
        where = ".".join(str(step) for step in self.path) or "body"
        return f"{where}: {self.message} ({self.code})"


def form_error(problems: Iterable[Problem]) -> ApiError:
    """Discord's 400/50035 for these problems, with its nested ``errors``."""
    tree: JsonObject = {}
    for problem in problems:
        node = tree
        for step in problem.path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": problem.code, "message": problem.message})
    return ApiError(400, 50035, "Invalid Form Body", errors=tree)


def unknown(code: int, what: str, *, expected: bool = False) -> ApiError:
    """404 with Discord's code for an unknown ``what``: 10003 Channel, 10008 Message …"""
    return ApiError(404, code, f"Unknown {what}", expected=expected)


def missing_access() -> ApiError:
    """403/50001: the bot cannot see the channel or guild."""
    return ApiError(403, 50001, "Missing Access", expected=True)


def missing_permissions() -> ApiError:
    """403/50013: the bot can see the channel but lacks a permission."""
    return ApiError(403, 50013, "Missing Permissions", expected=True)


def direct_message() -> ApiError:
    """403/50003: nobody moderates in a DM."""
    return ApiError(403, 50003, "Cannot execute action on a DM channel")


def too_large() -> ApiError:
    """413/40005: a file or the whole request is over the upload limit."""
    return ApiError(413, 40005, "Request entity too large")


class ClientRefused(Exception):
    """Discord's own client would not let the user do this; nothing was sent."""


class NotAcknowledged(Exception):
    """The bot did not answer an interaction in time: "The application did not respond"."""
