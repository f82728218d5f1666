"""Logging without secrets: the token and interaction tokens never pass, whoever logs them."""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable

OURS = ("bot", "cogs", "catalog")
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
TOKEN_SHAPE = re.compile(r"[\w-]{20,}\.[\w-]{5,}\.[\w-]{20,}")
# discord.py logs whole request paths, in which interaction tokens stand.
TOKEN_IN_PATH = re.compile(r"(/(?:webhooks|interactions)/\d+/)[^/?\s'\"]+")
HIDDEN = "[hidden]"


class RedactingFormatter(logging.Formatter):
    """Formats a record, traceback included, then blots out what must not be read."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(FORMAT)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return TOKEN_SHAPE.sub(HIDDEN, TOKEN_IN_PATH.sub(rf"\1{HIDDEN}", text))


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


def set_up(level: str, secrets: tuple[str, ...] = ()) -> None:
    """Log to stderr. `level` is for our own packages; others log from INFO on.

    discord.py at DEBUG logs bodies, in which prompts stand, and aiosqlite the values it stores.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(secrets))
    logging.basicConfig(level=max(logging.INFO, logging.getLevelName(level)), handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    # discord.py warns of voice libraries that a bot without voice does not need.
    logging.getLogger("discord.client").addFilter(lambda r: "voice will NOT" not in r.getMessage())
    logging.captureWarnings(True)
