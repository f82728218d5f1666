"""The vocabulary in a `spiece.model`, as sentencepiece writes it, without that library.

It is a message of Protocol Buffers (google/sentencepiece src/sentencepiece_model.proto): numbers
and texts, no code. Only what a tokenizer is built from is read of it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

_BYTES_MAX: Final = 16 * 1024 * 1024
"""T5's has 0.8 MB."""
_UNIGRAM: Final = 1
"""The way of splitting that T5 has."""


class UnreadablePieces(ValueError):
    """The message says why a file has no such vocabulary."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """scored: every piece with the logarithm of its probability, in order. unknown: the number of
    the one that stands for what is not known. normalizer: the compiled table by which characters
    are changed first; empty without one."""

    scored: tuple[tuple[str, float], ...]
    unknown: int
    normalizer: bytes


def read(file: Path) -> Pieces:
    """The vocabulary in `file`. Raises UnreadablePieces, and OSError."""
    with file.open("rb") as opened:
        raw = opened.read(_BYTES_MAX + 1)
    if len(raw) > _BYTES_MAX:
        raise UnreadablePieces(f"it is larger than {_BYTES_MAX // 2**20} MiB")
    try:
        return _vocabulary(raw)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise UnreadablePieces("it is damaged") from None


def _vocabulary(raw: bytes) -> Pieces:
    scored: list[tuple[str, float]] = []
    kind, unknown, normalizer = _UNIGRAM, 0, b""
    for number, value in _fields(raw):
        if not isinstance(value, bytes):
            continue
        own = dict(_fields(value)) if number in {1, 2, 3} else {}
        if number == 1:
            scored.append((_of(own, 1, b"").decode(), _of(own, 2, 0.0)))
        elif number == 2:
            kind, unknown = _of(own, 3, _UNIGRAM), _of(own, 40, 0)
        elif number == 3:
            normalizer = _of(own, 2, b"")
    if kind != _UNIGRAM:
        raise UnreadablePieces(f"its model_type is {kind}; known is {_UNIGRAM}, unigram")
    if unknown >= len(scored):
        raise UnreadablePieces(f"its unk_id is {unknown}, and it has {len(scored)} pieces")
    return Pieces(tuple(scored), unknown, normalizer)


Value: TypeAlias = bytes | int | float
_Kind = TypeVar("_Kind", bytes, int, float)


def _of(fields: dict[int, Value], number: int, usual: _Kind) -> _Kind:
    """The field of that number, or else `usual`. Raises UnreadablePieces for one of another
    kind."""
    value = fields.get(number, usual)
    if not isinstance(value, type(usual)):
        raise UnreadablePieces(f"its field {number} is {type(value).__name__}")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message by their numbers, in order. Raises what `read` makes of damage."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, stored = tag >> 3, tag & 7
        value: Value
        if stored == 0:
            value, at = _varint(message, at)
        elif stored == 2:
            length, at = _varint(message, at)
            value, at = message[at : at + length], at + length
            if at > len(message):
                raise UnreadablePieces("it ends in the middle of a field")
        elif stored == 5:
            (value,), at = struct.unpack_from("<f", message, at), at + 4
        elif stored == 1:
            (value,), at = struct.unpack_from("<d", message, at), at + 8
        else:
            raise UnreadablePieces(f"its field {number} is stored in the unknown way {stored}")
        yield number, value


_VARINT_MAX: Final = 10
"""Bytes that a number has at most, seven bits in each."""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for place in range(_VARINT_MAX):
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise UnreadablePieces("it has a number without an end")
