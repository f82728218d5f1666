"""The owner's file of blocked words: `catalog/blocked_words.txt`, read again when it changes."""

import logging
from pathlib import Path
from typing import Final

from bot.errors import InvalidRequest
from bot.moderation.word_list import (
    ACTIONS,
    PATTERNS_MAX,
    WORDS_MAX,
    Action,
    Blocked,
    check_entry,
)

log = logging.getLogger(__name__)

NAME: Final = "blocked_words.txt"
BYTES_MAX: Final = 1_000_000


class OwnerFile:
    """One word or /pattern/ a line, after `report:` or `restrict:` if it is not to be refused.

    Reads from disk: not for the event loop.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._entries: tuple[Blocked, ...] = ()

    def entries(self) -> tuple[Blocked, ...]:
        """What it says now. What is wrong in it is logged once and left out; a file that cannot be
        read is taken as it was before."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._entries = self._read(self._path.read_bytes()[: BYTES_MAX + 1])
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp, self._entries = None, ()
        except OSError as error:
            log.error("%s: cannot be read: %s", self._path, error.strerror)
        return self._entries

    def _read(self, data: bytes) -> tuple[Blocked, ...]:
        if len(data) > BYTES_MAX:
            log.error("%s: larger than %d bytes; the rest is left out", self._path, BYTES_MAX)
        found: dict[tuple[str, str], Blocked] = {}
        counts = {"word": 0, "pattern": 0}
        for number, line in enumerate(data.decode("utf-8-sig", "replace").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            entry = entry_of(line)
            try:
                check_entry(entry)
            except InvalidRequest as error:
                log.error("%s, line %d: left out (%s)", self._path, number, error.code)
                continue
            counts[entry.kind] += 1
            if counts[entry.kind] > {"word": WORDS_MAX, "pattern": PATTERNS_MAX}[entry.kind]:
                log.error("%s, line %d: too many; left out", self._path, number)
                continue
            found[entry.kind, entry.text] = entry
        log.info("%s: %d blocked words and patterns", self._path, len(found))
        return tuple(found.values())


def entry_of(line: str) -> Blocked:
    """What a line says, which need not be a valid word or pattern."""
    text, action = line.strip(), ACTIONS[0]
    named, colon, rest = text.partition(":")
    for known in ACTIONS:
        if colon and named.strip().casefold() == known:
            text, action = rest.strip(), known
    return typed_entry(text, action)


def typed_entry(text: str, action: Action) -> Blocked:
    """A word, or between slashes a pattern, as people type it."""
    text = text.strip()
    if len(text) > 2 and text[0] == text[-1] == "/":
        return Blocked(text[1:-1], "pattern", action)
    return Blocked(text, "word", action)
