"""Failures: what an engine raised, so that it can be raised again elsewhere."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import StringConstraints

from bot.errors import (
    EngineLost,
    JobFailed,
    Loss,
    NotHere,
    PaintStopped,
    Param,
    StopReason,
    WireError,
)
from bot.log import traceback_without
from bot.texts.language import Texts
from bot.wire.checks import in_range
from bot.wire.codec import Codec
from bot.wire.codes import CODES, LACKS
from bot.wire.sentences import check_sentence, told

JSON_MAX: Final = 2**17
REASON_MAX: Final = 2_000
TRACE_MAX: Final = 16_000
"""Characters of a traceback; its end says what was raised."""
ERRNO_MAX: Final = 100_000


class RaisedElsewhere(Exception):
    """An engine elsewhere raised what nobody expected. The text is its traceback, without
    prompts."""


@dataclass(frozen=True, slots=True)
class Failed:
    """JobFailed."""

    code: str
    params: dict[str, Param]


@dataclass(frozen=True, slots=True)
class Stopped:
    """PaintStopped."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Lost:
    """EngineLost."""

    loss: Loss
    reason: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Lacking:
    """NotHere, with what its person is told if no other engine has the part."""

    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    failure: Failed


@dataclass(frozen=True, slots=True)
class Unread:
    """OSError, and its traceback without prompts."""

    errno: int
    file: str
    trace: str


@dataclass(frozen=True, slots=True)
class Unexpected:
    """Any other exception."""

    trace: str


@dataclass(frozen=True, slots=True)
class _Failure:
    """One of them, under the name of its kind."""

    failed: Failed | None = None
    stopped: Stopped | None = None
    lost: Lost | None = None
    lacking: Lacking | None = None
    unread: Unread | None = None
    unexpected: Unexpected | None = None


_CODEC: Final = Codec(_Failure, "failure", JSON_MAX)


def encode(error: BaseException, texts: Collection[str] = ()) -> bytes:
    """As JSON. texts: of the request, which nothing that is logged may have."""
    return _CODEC.encode(_told(error, texts))


def decode(data: bytes, texts: Texts) -> Exception:
    """The exception to raise: JobFailed, PaintStopped, EngineLost, NotHere, OSError or
    RaisedElsewhere.

    Raises WireError for anything else.
    """
    failure = _CODEC.decode(data)
    match failure:
        case _Failure(Failed() as failed, None, None, None, None, None):
            return _failed(failed, texts)
        case _Failure(None, Stopped(reason), None, None, None, None):
            return PaintStopped(reason)
        case _Failure(None, None, Lost(loss, reason, sure), None, None, None):
            return EngineLost(loss, _line(reason[:REASON_MAX]), sure=sure)
        case _Failure(None, None, None, Lacking(digest, failed), None, None):
            return NotHere(_failed(failed, texts, LACKS), digest)
        case _Failure(None, None, None, None, Unread(errno, file, trace), None):
            in_range("failure: errno", errno, 0, ERRNO_MAX)
            # Of the class that goes with its number, such as FileNotFoundError.
            error = OSError(errno, os.strerror(errno), _line(file[:REASON_MAX]))
            error.__cause__ = RaisedElsewhere(_lines(trace)[-TRACE_MAX:])
            return error
        case _Failure(None, None, None, None, None, Unexpected(trace)):
            return RaisedElsewhere(_lines(trace)[-TRACE_MAX:])
        case _:
            raise WireError("failure: allowed is exactly one kind")


def _failed(told: Failed, texts: Texts, allowed: Collection[str] = CODES) -> JobFailed:
    """Raises WireError."""
    check_sentence("failure", told.code, told.params, texts, allowed=allowed)
    return JobFailed(told.code, **told.params)


def _told(error: BaseException, texts: Collection[str]) -> _Failure:
    match error:
        case JobFailed():
            return _Failure(failed=Failed(error.code, told(error.params)))
        case PaintStopped():
            return _Failure(stopped=Stopped(error.reason))
        case EngineLost():
            return _Failure(lost=Lost(error.loss, str(error)[:REASON_MAX], error.sure))
        case NotHere(failure=JobFailed() as failure, digest=digest):
            return _Failure(lacking=Lacking(digest, Failed(failure.code, told(failure.params))))
        case OSError(errno=int() as number):
            file = str(error.filename or "")[:REASON_MAX]
            return _Failure(unread=Unread(number, file, _trace(error, texts)))
        case _:
            return _Failure(unexpected=Unexpected(_trace(error, texts)))


def _line(text: str) -> str:
    """As it may be logged: it cannot begin a line of its own, nor tell a terminal anything."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _lines(text: str) -> str:
    """Each of its lines is marked as one from elsewhere."""
    return "\n".join(f"| {_line(line)}" for line in text.splitlines())


def _trace(error: BaseException, texts: Collection[str]) -> str:
    return traceback_without(error, texts)[-TRACE_MAX:]
