"""Logging without secrets: the token and interaction tokens never pass, whoever logs them."""

import logging
import re
import sys

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
