"""Logging as text or JSON, without secrets, with the id of the job that each line concerns.

The bot's token, interaction tokens and keys of callers over HTTP are redacted in every logger's
lines.
"""

import contextvars
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

OURS = ("bot", "cogs", "catalog")
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
TOKEN_SHAPE = re.compile(r"(?<![\w-])[\w-]{20,}+\.[\w-]{5,}+\.[\w-]{20,}+")
# discord.py logs full request paths, which contain interaction tokens.
TOKEN_IN_PATH = re.compile(r"(/(?:webhooks|interactions)/\d+/)[^/?\s'\"]+")
INTERACTION_TOKEN = re.compile(r"aW50ZXJhY3Rpb246[\w-]+")
"""Base64 of `interaction:` and what follows it."""
API_KEY = re.compile(r"imagen_[\w-]{20,}")
HIDDEN = "[hidden]"
BY_CONVENTION = "job %s"
"""The prefix of lines about a job outside `concerning`; the id is their first argument."""

Result = TypeVar("Result")

_job: contextvars.ContextVar[str] = contextvars.ContextVar("job", default="")


@contextmanager
def concerning(job_id: str) -> Iterator[None]:
    """Name the job in every line logged within the block, including by tasks started there."""
    token = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(token)


def here(work: Callable[[], Result]) -> Callable[[], Result]:
    """Wrap `work` for an executor's thread so that its lines name the current job."""
    return partial(contextvars.copy_context().run, work)


def current_job() -> str:
    """The id of the job that lines logged here concern; '' if none."""
    return _job.get()


def job_of(record: logging.LogRecord) -> str:
    """The id of the job that a line concerns; '' if none."""
    arguments = record.args
    if isinstance(arguments, tuple) and arguments and str(record.msg).startswith(BY_CONVENTION):
        return str(arguments[0])
    return _job.get()


class RedactingFormatter(logging.Formatter):
    """Text lines, including tracebacks, with secrets redacted."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(FORMAT)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        return self.redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        job = job_of(record)
        if job and not record.message.startswith(f"job {job}"):
            record.message = f"job {job}: {record.message}"
        return super().formatMessage(record)

    def redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = INTERACTION_TOKEN.sub(HIDDEN, TOKEN_IN_PATH.sub(rf"\1{HIDDEN}", text))
        return TOKEN_SHAPE.sub(HIDDEN, API_KEY.sub(HIDDEN, text))


class JsonFormatter(RedactingFormatter):
    """One JSON object per line, with `job` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "job": job_of(record),
            # Redact before encoding: JSON may escape characters of a secret.
            "message": self.redacted(record.getMessage()),
            "traceback": self.redacted(self.formatException(record.exc_info))
            if record.exc_info
            else "",
        }
        return json.dumps({key: value for key, value in line.items() if value}, ensure_ascii=False)


def traceback_without(error: BaseException, texts: Iterable[str]) -> str:
    """The traceback of `error`, with `texts` redacted in case a message quotes them.

    Texts of one or two characters are not, as that would leave the traceback unreadable.
    """
    return without_texts("".join(traceback.format_exception(error)), texts)


def without_texts(written: str, texts: Iterable[str]) -> str:
    """`written` with `texts` redacted, except those of one or two characters."""
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1]):
            if len(text) > 2:
                written = written.replace(form, HIDDEN)
    return written


def where_raised(error: BaseException) -> str:
    """The traceback of `error` and of those that led to it, without their messages."""
    parts: list[str] = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        frames = "".join(traceback.format_tb(one.__traceback__))
        parts.append(f"{frames}{type(one).__module__}.{type(one).__qualname__}")
        one = one.__cause__ or one.__context__
    return "\n\n".join(reversed(parts))


def without_messages(record: logging.LogRecord) -> bool:
    """A filter for the lines of libraries that log our exceptions: their messages may quote what a
    person typed, such as into an option that is being completed."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        record.msg, record.args = f"{record.getMessage()}\n{where_raised(error)}", ()
        record.exc_info = record.exc_text = None
    return True


def _is_of_discord(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] == "discord"


def set_up(level: str, secrets: tuple[str, ...] = (), *, as_json: bool = False) -> None:
    """Log to stderr. `level` applies to our own packages; others log at INFO or above.

    At DEBUG, discord.py logs request bodies, which contain prompts, and aiosqlite stored values.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(secrets) if as_json else RedactingFormatter(secrets))
    handler.addFilter(lambda record: not _is_of_discord(record) or without_messages(record))
    logging.basicConfig(level=max(logging.INFO, logging.getLevelName(level)), handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    # discord.py warns about missing voice libraries, which this bot does not need.
    logging.getLogger("discord.client").addFilter(lambda r: "voice will NOT" not in r.getMessage())
    logging.captureWarnings(True)
