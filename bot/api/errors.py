"""Errors as HTTP answers: a status, and one sentence in the caller's language."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, ClassVar, Final

from bot.errors import AskedBefore, ImagenError, InvalidRequest, Refused, StoreError, UserError
from bot.texts.language import Say

log = logging.getLogger(__name__)

RETRY: Final = 10
"""Seconds after which to ask again where it is not known when that makes sense."""
SHOWN_MAX: Final = 200
"""Characters of a value that an error repeats."""
NOT_AVAILABLE: Final = frozenset(
    {
        *(f"model.{why}" for why in ("unknown", "unlike", "several", "disabled", "nsfw", "unfit")),
        "model.other_vae",
        "model.other_encoder",
        "model.unread",
        "model.quantised",
        "model.quantised_vae",
        "model.quantised_encoder",
        "model.undecided",
        *(f"lora.{why}" for why in ("unknown", "unlike", "several", "none", "disabled", "nsfw")),
        *(f"lora.{why}" for why in ("misfit", "other_model", "other_base", "unsupported")),
        "lora.embedding",
    }
)
"""Codes of errors that say of a model or LoRA that it cannot be had, by the name asked for."""

ASKED_WRONG: Final = frozenset(
    {"prompt.chunks", "prompt.tokens", "picture.narrow", "picture.small"}
)
"""Codes of jobs that failed because of what was asked for, which only the loaded model could tell:
tokens are counted with its own files."""


class CallError(UserError):
    """A call that cannot be served, for a reason of HTTP's."""

    status: ClassVar[HTTPStatus] = HTTPStatus.BAD_REQUEST


class NoValidKey(CallError):
    status = HTTPStatus.UNAUTHORIZED


class Forbidden(CallError):
    status = HTTPStatus.FORBIDDEN


class NotFound(CallError):
    status = HTTPStatus.NOT_FOUND


class NotReady(CallError):
    status = HTTPStatus.CONFLICT


class Pruned(CallError):
    status = HTTPStatus.GONE


class BodyTooLarge(CallError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class WrongMediaType(CallError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class TooManyCalls(CallError):
    status = HTTPStatus.TOO_MANY_REQUESTS


class ServerEnds(CallError):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class TooBusy(CallError):
    status = HTTPStatus.SERVICE_UNAVAILABLE


class AmbiguousCall(CallError):
    """Two servers could disagree about where the request ends."""


class HeadTooLarge(CallError):
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered to a call that cannot be served.

    detail: the sentence. retry_after: seconds; None if asking again is no use.
    """

    status: HTTPStatus
    code: str
    detail: str
    params: Mapping[str, Any]
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer, Basic realm="imagen"'
        return headers


def answer_to(error: ImagenError, say: Say, names: Mapping[str, str] | None = None) -> Answer:
    """How to answer a call that raised `error`.

    names: what this interface calls the fields whose name differs from `Draft`'s.
    """
    match error:
        case UserError():
            return _user_error(error, say, names or {})
        case AskedBefore():
            return _plain(HTTPStatus.UNPROCESSABLE_ENTITY, "api.repeat.changed", say)
        case StoreError():
            log.error("a call could not be served: %s", error)
            return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "api.unavailable", say, RETRY)
        case _:
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "api.unexpected", say)


def status_of_failure(code: str) -> HTTPStatus:
    """The status of a call whose job failed for the reason `code`."""
    return HTTPStatus.BAD_REQUEST if code in ASKED_WRONG else HTTPStatus.INTERNAL_SERVER_ERROR


def _user_error(error: UserError, say: Say, names: Mapping[str, str]) -> Answer:
    params = {name: _short_text(value) for name, value in error.params.items()}
    if isinstance(field := params.get("field"), str):
        params["field"] = names.get(field, field)
    detail = say(error.code, **params)
    if error.code in NOT_AVAILABLE and isinstance(error, Refused | InvalidRequest):
        # Callers of the HTTP interface rely on these words; the reason follows.
        kind, _, _ = error.code.partition(".")
        named = params.get("value", params.get("name"))
        unavailable = "api.model" if kind == "model" else "api.lora"
        detail = say(unavailable, value=named, reason=detail)
    return Answer(_status(error), error.code, detail, params, _retry_after(error))


def _plain(status: HTTPStatus, code: str, say: Say, retry_after: int | None = None) -> Answer:
    return Answer(status, code, say(code), {}, retry_after)


def _status(error: UserError) -> HTTPStatus:
    match error:
        case CallError():
            return error.status
        case Refused(code="queue.blocked"):
            return HTTPStatus.FORBIDDEN
        case Refused(code="queue.full" | "queue.closing"):
            return HTTPStatus.SERVICE_UNAVAILABLE
        case Refused(code=code) if code.startswith("queue."):
            return HTTPStatus.TOO_MANY_REQUESTS
        case _:
            return HTTPStatus.BAD_REQUEST


def _retry_after(error: UserError) -> int | None:
    if _status(error) not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    when = error.params.get("when")
    if not isinstance(when, int | float):
        return RETRY
    return max(1, ceil(when - time.time()))


EXPECTED: Final = {
    "int": "api.expected.int",
    "float": "api.expected.number",
    "decimal": "api.expected.number",
    "finite": "api.expected.number",
    "bool": "api.expected.bool",
    "string": "api.expected.text",
    "list": "api.expected.list",
    "tuple": "api.expected.list",
    "dict": "api.expected.object",
    "model": "api.expected.object",
    "json": "api.expected.object",
}
"""Sentences for what pydantic expected, by the first word of the error's type (pydantic docs,
"Validation Errors")."""


def wrong_field(problem: Mapping[str, Any], say: Say) -> Answer:
    """The answer to a body or parameter that has the wrong form. problem: from pydantic."""
    path = [_short(part) for part in problem["loc"][1:]] or ["body"]
    field, kind, value = ".".join(path), str(problem["type"]), problem.get("input")
    params: dict[str, Any]
    match kind:
        case "missing":
            code, params = "api.field.missing", {"field": field}
        case "extra_forbidden":
            code, params = "api.field.unknown", {"field": field}
        case "literal_error":
            allowed = str(problem["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
            code = "api.field.choice"
            params = {"field": field, "value": _short(value), "allowed": allowed.split(", ")}
        case "less_than_equal":
            code = "api.field.most"
            params = {"field": field, "value": _short(value), "max": problem["ctx"]["le"]}
        case "greater_than_equal":
            code = "api.field.least"
            params = {"field": field, "value": _short(value), "min": problem["ctx"]["ge"]}
        case "string_too_long" | "string_too_short":
            code, params = "api.field.length", {"field": field}
        case _:
            expected = say(EXPECTED.get(kind.split("_")[0], "api.expected.any"))
            code = "api.field.wrong"
            params = {"field": field, "value": _short(value), "expected": expected}
    return Answer(HTTPStatus.BAD_REQUEST, code, say(code, **params), params)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"


def _short_text(value: Any) -> Any:
    return _short(value) if isinstance(value, str) else value
