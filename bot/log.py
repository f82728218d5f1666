"""Logging without secrets, in lines for people or for programs, each naming the job it concerns.

The bot's token and those of interactions never pass, whoever logs them.
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
TOKEN_SHAPE = re.compile(r"[\w-]{20,}\.[\w-]{5,}\.[\w-]{20,}")
# discord.py logs whole request paths, in which interaction tokens stand.
TOKEN_IN_PATH = re.compile(r"(/(?:webhooks|interactions)/\d+/)[^/?\s'\"]+")
INTERACTION_TOKEN = re.compile(r"aW50ZXJhY3Rpb246[\w-]+")
"""Base64 of `interaction:` and what follows, wherever it stands."""
HIDDEN = "[hidden]"
BY_CONVENTION = "job %s"
"""How a line that concerns a job begins where no `concerning` surrounds it; its id comes first."""

Result = TypeVar("Result")

_job: contextvars.ContextVar[str] = contextvars.ContextVar("job", default="")


@contextmanager
def concerning(job_id: str) -> Iterator[None]:
    """Name the job in every line that is logged within, by the tasks begun there too."""
    token = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(token)


def here(work: Callable[[], Result]) -> Callable[[], Result]:
    """`work` for an executor's thread, whose lines then concern the job that they concern here."""
    return partial(contextvars.copy_context().run, work)


def job_of(record: logging.LogRecord) -> str:
    """The id of the job that a line concerns, or ''."""
    arguments = record.args
    if isinstance(arguments, tuple) and arguments and str(record.msg).startswith(BY_CONVENTION):
        return str(arguments[0])
    return _job.get()


class RedactingFormatter(logging.Formatter):
    """A line for people, traceback included, with what must not be read blotted out."""

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
        return TOKEN_SHAPE.sub(HIDDEN, text)


class JsonFormatter(RedactingFormatter):
    """A line for programs: one JSON object, with `job` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "job": job_of(record),
            # Before it is JSON, in which a secret may be written otherwise.
            "message": self.redacted(record.getMessage()),
            "traceback": self.redacted(self.formatException(record.exc_info))
            if record.exc_info
            else "",
        }
        return json.dumps({key: value for key, value in line.items() if value}, ensure_ascii=False)


def traceback_without(error: BaseException, texts: Iterable[str]) -> str:
    """The traceback of `error`, with `texts` blotted out should a message quote them.

    Texts of a letter or two are left: blotting them would leave nothing to read.
    """
    written = "".join(traceback.format_exception(error))
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, repr(text)[1:-1], json.dumps(text)[1:-1]):
            if len(text) > 2:
                written = written.replace(form, HIDDEN)
    return written


def set_up(level: str, secrets: tuple[str, ...] = (), *, as_json: bool = False) -> None:
    """Log to stderr. `level` is for our own packages; others log from INFO on.

    discord.py at DEBUG logs bodies, in which prompts stand, and aiosqlite the values it stores.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(secrets) if as_json else RedactingFormatter(secrets))
    logging.basicConfig(level=max(logging.INFO, logging.getLevelName(level)), handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    # discord.py warns of voice libraries that a bot without voice does not need.
    logging.getLogger("discord.client").addFilter(lambda r: "voice will NOT" not in r.getMessage())
    logging.captureWarnings(True)
