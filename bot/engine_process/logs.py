"""The lines that an engine process logs: written there, handled here."""

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from bot.errors import WireError
from bot.log import OURS, concerning, job_of, without_texts
from bot.wire.codec import Codec

LINE_MAX: Final = 16_000
"""Characters of one line with its traceback; the end is cut off."""
LEVELS: Final = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)

_LOGGER: Final = re.compile(r"[\w.-]{1,120}")
_JOB: Final = re.compile(r"[\w-]{0,64}")


@dataclass(frozen=True, slots=True)
class Line:
    """logger: its name. job: the id of the job that it concerns, or ""."""

    level: int
    logger: str
    job: str
    text: str


LINE: Final = Codec(Line, "line", 2**17)


class Forwarding(logging.Handler):
    """Passes each line to `send`. texts: what no line may have, before its end is cut off: half a
    text would not be found any more."""

    def __init__(self, send: Callable[[bytes], None], texts: Callable[[], Collection[str]]) -> None:
        super().__init__()
        self._send = send
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        whole = without_texts(self.format(record), self._texts())
        text = whole[:LINE_MAX].encode(errors="replace").decode()
        level = max((level for level in LEVELS if level <= record.levelno), default=LEVELS[0])
        self._send(LINE.encode(Line(level, record.name, job_of(record), text)))


def levels() -> dict[str, int]:
    """What `set_up` sets in the other process."""
    loggers = {"": logging.getLogger(), **{name: logging.getLogger(name) for name in OURS}}
    return {name: logger.level for name, logger in loggers.items()}


def set_up(
    send: Callable[[bytes], None],
    wanted: dict[str, int],
    texts: Callable[[], Collection[str]],
) -> None:
    """Send the lines of this process away, those of `wanted` levels. send: gets Lines as JSON.
    texts: what they may not have at the moment."""
    logging.getLogger().handlers = [Forwarding(send, texts)]
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)


def handle(data: bytes, texts: Collection[str]) -> None:
    """Log a Line here. texts: what it may not have. Raises WireError for what is none."""
    line = LINE.decode(data)
    if line.level not in LEVELS:
        raise WireError(f"line: level {line.level}; allowed are {', '.join(map(str, LEVELS))}")
    if not _LOGGER.fullmatch(line.logger) or not _JOB.fullmatch(line.job):
        raise WireError("line: logger and job: allowed are A-Z, a-z, 0-9, '.', '_', '-'")
    logger = logging.getLogger(line.logger)
    if logger.isEnabledFor(line.level):
        text = without_texts(line.text, texts)
        record = logger.makeRecord(line.logger, line.level, "", 0, text, (), None)
        with concerning(line.job):
            logger.handle(record)
