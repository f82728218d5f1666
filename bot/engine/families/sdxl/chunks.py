"""What CLIP reads at once: 75 tokens. Longer prompts are cut into chunks of that size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

TOKENS: Final = 77
ROOM: Final = TOKENS - 2
"""CLIP has 77 positions; the first and the last are its own start and end tokens."""
BACKTRACK: Final = 20
"""AUTOMATIC1111's default "prompt word wrap length limit": how far back a comma is looked for."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of CLIP's vocabulary, and how much it counts."""

    id: int
    weight: float = 1.0


Chunk = tuple[Token, ...]
"""Up to ROOM tokens."""


def split(parts: Sequence[Sequence[Token]], comma: int) -> tuple[Chunk, ...]:
    """Cut `parts`, the stretches between BREAKs, into chunks; at least one, possibly empty.

    comma: the id of the token ",".

    A part starts a chunk of its own, an empty one too; only at the end of the prompt is nothing
    made of nothing. Where a part is too long, it is cut after the last comma among the last
    BACKTRACK tokens of a full chunk, unless that chunk ends where a comma follows anyway; without
    a comma it is cut where it is full.
    """
    chunks: list[Chunk] = []
    for part in parts:
        rest = tuple(part)
        while len(rest) > ROOM:
            end = _end(rest, comma)
            chunks.append(rest[:end])
            rest = rest[end:]
        chunks.append(rest)
    while chunks and not chunks[-1]:
        chunks.pop()
    return tuple(chunks) or ((),)


def _end(tokens: Chunk, comma: int) -> int:
    """How many of more than ROOM tokens the next chunk takes."""
    if tokens[ROOM].id == comma:
        return ROOM
    near = range(ROOM, ROOM - BACKTRACK, -1)
    return next((end for end in near if tokens[end - 1].id == comma), ROOM)
