"""JSON with long texts in it, such as images in base64.

A parser reads a text in one go, and keeps Python's lock (the GIL) for 0.1 s if it is an image of
20 MB: the event loop stands still even if that happens in another thread. Here long texts are taken
out, read slice by slice, and put back, so that the loop has its turns.
"""

import json
import secrets
from collections.abc import Iterator
from typing import Any, Final

LONG: Final = 2**14
"""Bytes of a text that is taken out."""
SLICE: Final = 2**18
"""Bytes that are read in one go."""

_QUOTE: Final = b'"'
_BACKSLASH: Final = b"\\"
_ESCAPE: Final = len(r"\uffff")
_CONTINUING: Final = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 that begin no character."""


class RestTooLarge(ValueError):
    """What is left of the JSON without its long texts is larger than allowed."""


def decode(data: bytes, decoder: json.JSONDecoder, *, rest_max: int) -> Any:
    """What `decoder` makes of `data`, which is UTF-8. rest_max: bytes of all but long texts.

    Raises RestTooLarge, UnicodeDecodeError, what the decoder raises, and JSONDecodeError with the
    line and column in `data`.
    """
    taken = _TakenOut(data)
    if len(taken.rest) > rest_max:
        raise RestTooLarge(f"{len(taken.rest)} bytes without long texts; allowed are {rest_max}")
    rest = taken.rest.decode()
    try:
        value = decoder.decode(rest)
    except json.JSONDecodeError as error:
        if taken.wrong is not None and error.msg.startswith("Unterminated string"):
            raise taken.wrong from None
        raise _error(error.msg, data, taken.place(len(rest[: error.pos].encode()))) from None
    return _put_back(value, taken.texts)


def count(data: bytes, mark: bytes, end: int | None = None) -> int:
    """How often the byte `mark` is in `data`, as far as `end`."""
    end = len(data) if end is None else end
    return sum(data.count(mark, begin, min(begin + SLICE, end)) for begin in range(0, end, SLICE))


class _TakenOut:
    """texts: the long texts that are no keys. rest: the JSON with their names in their places.

    wrong: what is wrong in one of them; the rest then ends with the quote that begins it, so that
    the parser finds what is wrong before.
    """

    def __init__(self, data: bytes) -> None:
        self.texts: dict[str, str] = {}
        self.wrong: json.JSONDecodeError | None = None
        self._name = secrets.token_hex(16)  # which no caller can write
        self._gaps: list[tuple[int, int]] = []
        self.rest = b"".join(self._parts(data))

    def _parts(self, data: bytes) -> Iterator[bytes]:
        done, written = 0, 0
        begin = data.find(_QUOTE)
        while begin >= 0:
            end = _closing_quote(data, begin + 1)
            if end < 0:
                # The parser says so, and need not read to the end for it.
                yield data[done : begin + 1]
                return
            if end - begin > LONG and not _is_key(data, end + 1):
                name = f"{self._name}{len(self.texts)}"
                try:
                    self.texts[name] = "".join(_slices(data, begin + 1, end))
                except json.JSONDecodeError as error:
                    self.wrong = error
                    yield data[done : begin + 1]
                    return
                part = data[done : begin + 1] + name.encode()
                yield part
                written += len(part)
                self._gaps.append((written, end - done - len(part)))
                done = end
            begin = data.find(_QUOTE, end + 1)
        yield data[done:]

    def place(self, at: int) -> int:
        """Where byte `at` of the rest is in the data."""
        return at + sum(missing for after, missing in self._gaps if at >= after)


def _closing_quote(data: bytes, begin: int) -> int:
    """Where the text ends whose first byte is at `begin`; -1 if it does not."""
    end = begin - 1
    while (end := data.find(_QUOTE, end + 1)) >= 0:
        escaping = end
        while data.endswith(_BACKSLASH, begin, escaping):
            escaping -= 1
        if (end - escaping) % 2 == 0:
            return end
    return end


def _is_key(data: bytes, after: int) -> bool:
    for begin in range(after, len(data), SLICE):
        if follows := data[begin : begin + SLICE].lstrip(b" \t\n\r"):
            return follows.startswith(b":")
    return False


def _slices(data: bytes, begin: int, end: int) -> Iterator[str]:
    """The text of a JSON string, whose quotes are before `begin` and at `end`."""
    while begin < end:
        cut = _cut(data, begin + SLICE, end)
        part = data[begin:cut].decode()
        try:
            yield json.loads(f'"{part}"')
        except json.JSONDecodeError as error:
            at = begin + len(part[: error.pos - 1].encode())
            raise _error(error.msg, data, at) from None
        begin = cut


def _cut(data: bytes, at: int, end: int) -> int:
    """The first place from `at` on that is in no character, escape or pair of escapes."""
    while at < end and data.find(_BACKSLASH, at - _ESCAPE, at) >= 0:
        at += _ESCAPE
    for _ in range(3):
        if at < end and data[at] in _CONTINUING:
            at += 1
    return min(at, end)


def _put_back(value: Any, texts: dict[str, str]) -> Any:
    whole = [value]
    level: list[Any] = [whole]
    while level:
        inner = []
        for each in level:
            for key, item in each.items() if isinstance(each, dict) else enumerate(each):
                if isinstance(item, str):
                    each[key] = texts.get(item, item)
                elif isinstance(item, dict | list):
                    inner.append(item)
        level = inner
    return whole[0]


def _error(message: str, data: bytes, at: int) -> json.JSONDecodeError:
    error = json.JSONDecodeError(message, "", at)
    error.lineno = count(data, b"\n", at) + 1
    line = data.rfind(b"\n", 0, at) + 1
    error.colno = 1 + sum(
        len(data[begin : min(begin + SLICE, at)].translate(None, _CONTINUING))
        for begin in range(line, at, SLICE)
    )
    return error
