"""What every message checks alike."""

import re
from typing import Final

from bot.errors import WireError

LABEL_MAX: Final = 300
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def in_range(name: str, value: float, low: float, high: float) -> None:
    """Raise WireError unless `low` <= `value` <= `high`."""
    if not low <= value <= high:
        raise WireError(f"{name}: {value:.6g}; allowed is {low:g} to {high:g}")


def is_one_of(name: str, value: str | None, *allowed: str | None) -> None:
    """Raise WireError unless `value` is one of `allowed`; what it is instead is not named."""
    if value not in allowed:
        raise WireError(f"{name}: allowed is one of {', '.join(map(str, allowed))}")


def is_label(name: str, value: str, most: int = LABEL_MAX) -> None:
    """Raise WireError unless it is one short line, without anything that is made a link of."""
    if len(value) > most or not value.isprintable() or "://" in value:
        raise WireError(f"{name}: allowed is a line of {most} characters, and no address")


def is_sha256(name: str, value: str) -> None:
    """Raise WireError unless it is 64 hex digits, in lower case."""
    if not _SHA256.fullmatch(value):
        raise WireError(f"{name}: allowed are 64 digits 0-9, a-f")
