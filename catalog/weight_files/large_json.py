"""Parse the JSON of a large header in small pieces, so that other threads run in between.

pydantic_core's parser holds the interpreter's lock from the first byte to the last: with 44 MiB of
training tags, the event loop would wait for a tenth of a second.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic_core import from_json

PIECE: Final = 64 * 1024
"""Bytes that one call gets at most; also the most that a value other than a string may have."""

_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_CHARACTERS: Final = re.compile(
    rb'(?:[^"\\\x00-\x1f]|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt])*+', re.DOTALL
)
_SCALAR: Final = re.compile(rb"[-+.0-9a-zA-Z]*+")
_NO_BRACKET: Final = re.compile(rb'[^"{}\[\]]*+')
_LEADING_SURROGATE: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_SURROGATE_BYTES: Final = 6
_BACKSLASH: Final = ord("\\")


class Repeated(ValueError):
    """A member occurs twice in an object; the only argument is its name."""


class TooMany(ValueError):
    """An object has more members than allowed."""


def parse_large(raw: bytes, members_max: int) -> dict[str, Any]:
    """Parse an object whose members are small values, or objects of strings of any length.

    members_max: how many members it, and each object of long strings in it, may have.
    Raises Repeated or TooMany, or ValueError if it is something else.
    """
    reader = _Reader(raw)
    table: dict[str, Any] = {}
    for name in reader.members():
        _add(table, name, reader.member(members_max), members_max)
    reader.finish()
    return table


def _add(table: dict[str, Any], name: str, value: object, members_max: int) -> None:
    if name in table:
        raise Repeated(name)
    if len(table) == members_max:
        raise TooMany(f"more than {members_max} members")
    table[name] = value


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def members(self) -> Iterator[str]:
        """The names of an object's members; the caller reads the value after each."""
        self._expect(b"{")
        if self._take(b"}"):
            return
        while True:
            name = self._string()
            self._expect(b":")
            yield name
            if self._take(b"}"):
                return
            self._expect(b",")

    def member(self, members_max: int) -> object:
        """The value that comes next."""
        self._skip()
        start = self._at
        if self._raw[start : start + 1] == b'"':
            return self._string()
        end = self._end_of_value()
        if end is not None:
            self._at = end
            return from_json(self._raw[start:end])
        # Too large for one piece: only an object of strings may be, such as the metadata.
        table: dict[str, Any] = {}
        for name in self.members():
            _add(table, name, self._short_or_text(), members_max)
        return table

    def finish(self) -> None:
        """Raise ValueError unless nothing but whitespace is left."""
        self._skip()
        if self._at != len(self._raw):
            raise ValueError("something follows the object")

    def _short_or_text(self) -> object:
        self._skip()
        start = self._at
        if self._raw[start : start + 1] == b'"':
            return self._string()
        end = self._end_of_value()
        if end is None:
            raise ValueError(f"a value other than a string has more than {PIECE} bytes")
        self._at = end
        return from_json(self._raw[start:end])

    def _skip(self) -> None:
        while True:
            end = _run(_SPACE, self._raw, self._at, self._at + PIECE)
            if end == self._at:
                return
            self._at = end

    def _take(self, sign: bytes) -> bool:
        self._skip()
        if self._raw[self._at : self._at + 1] != sign:
            return False
        self._at += 1
        return True

    def _expect(self, sign: bytes) -> None:
        if not self._take(sign):
            raise ValueError(f"no {sign.decode()} where one must be")

    def _end_of_value(self) -> int | None:
        """Where the value at this place ends; None if it has more than PIECE bytes."""
        limit = self._at + PIECE
        if self._raw[self._at : self._at + 1] not in (b"{", b"["):
            return _run(_SCALAR, self._raw, self._at, limit)
        at, depth = self._at, 0
        while at < min(limit, len(self._raw)):
            sign = self._raw[at : at + 1]
            if sign == b'"':
                at = _run(_CHARACTERS, self._raw, at + 1, limit)
            else:
                depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
                if depth == 0:
                    return at + 1
            at = _run(_NO_BRACKET, self._raw, at + 1, limit)
        return None

    def _string(self) -> str:
        self._expect(b'"')
        raw, pieces = self._raw, []
        while True:
            start = self._at
            end = _run(_CHARACTERS, raw, start, start + PIECE)
            if raw[end : end + 1] == b'"':
                self._at = end + 1
                pieces.append(_text(raw[start:end]))
                return "".join(pieces)
            end = _between_characters(raw, end)
            if end <= start or end - start < PIECE - 2 * _SURROGATE_BYTES:
                raise ValueError("a string is cut off or holds what none may hold")
            pieces.append(_text(raw[start:end]))
            self._at = end


def _run(pattern: re.Pattern[bytes], raw: bytes, start: int, limit: int) -> int:
    found = pattern.match(raw, start, limit)
    return found.end() if found else start


def _text(raw: bytes) -> str:
    return str(from_json(b'"' + raw + b'"'))


def _between_characters(raw: bytes, end: int) -> int:
    """The last place up to `end` at which a string may be cut."""
    while raw[end : end + 1] and raw[end] & 0xC0 == 0x80:  # within a character of UTF-8
        end -= 1
    before = end - _SURROGATE_BYTES
    if before > 0 and _LEADING_SURROGATE.fullmatch(raw, before, end):
        slashes = 0
        while before > slashes and raw[before - slashes - 1] == _BACKSLASH:
            slashes += 1
        if slashes % 2 == 0:  # else, the text is a backslash and "ud83d"
            return before
    return end
