"""Several names as one phrase of English, for the log, the terminal and the owner."""

from collections.abc import Iterable


def alternatives(names: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`; each name once."""
    *first, last = dict.fromkeys(names)
    return f"{', '.join(first)} or {last}" if first else last
