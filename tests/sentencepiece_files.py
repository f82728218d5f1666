"""Vocabularies as sentencepiece writes them, made without it."""

import struct
from collections.abc import Iterable
from pathlib import Path

from tools.untrained.tokenizers import PIECES

CONTROL, UNKNOWN, NORMAL = 3, 2, 1


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def field(number: int, value: bytes | int | float) -> bytes:
    """A field of a message of Protocol Buffers."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def vocabulary(
    pieces: Iterable[str] = PIECES, *, unknown: int = 2, kind: int = 1, table: bytes = b""
) -> bytes:
    """The model with these pieces, which are the likelier the earlier they are."""
    written = b""
    for number, piece in enumerate(pieces):
        what = {0: CONTROL, 1: CONTROL, 2: UNKNOWN}.get(number, NORMAL)
        scored = field(1, piece.encode()) + field(2, -float(number)) + field(3, what)
        written += field(1, scored)
    trainer = field(1, b"corpus.txt") + field(3, kind) + field(40, unknown)
    return written + field(2, trainer) + field(3, field(1, b"nmt_nfkc") + field(2, table))


def instead(folder: Path, raw: bytes | None = None) -> Path:
    """A tokenizer's folder with a `spiece.model` in place of its `tokenizer.json`."""
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(vocabulary() if raw is None else raw)
    return folder
