"""CLIP reads 75 tokens at once; longer prompts are split into chunks of that size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from catalog.families.unet import CLIP

ROOM: Final = CLIP.tokens
TOKENS: Final = ROOM + 2
"""With its own start and end tokens, as many as CLIP has positions."""
BACKTRACK: Final = 20
"""How many tokens back a comma is looked for: AUTOMATIC1111's default "prompt word wrap length
limit"."""


VECTOR: Final = -1
"""The id of a token that is a vector of an embedding."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of CLIP's vocabulary and its weight.

    embedding, row: which vector it is, if its id is VECTOR: a row of an embedding, by number.
    """

    id: int
    weight: float = 1.0
    embedding: int = 0
    row: int = 0


Chunk = tuple[Token, ...]
"""Up to ROOM tokens."""


def split(parts: Sequence[Sequence[Token]], comma: int) -> tuple[Chunk, ...]:
    """Split `parts`, the text between BREAKs, into chunks; at least one, possibly empty.

    comma: the id of the token ",".

    Each part starts a new chunk, even an empty part; only empty chunks at the end are dropped. A
    part that is too long is split after the last comma among the last BACKTRACK tokens of a full
    chunk. It is split at the full chunk if there is no such comma, or if the next token is one.
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
    last = next((end for end in near if tokens[end - 1].id == comma), ROOM)
    return next((end for end in range(last, 0, -1) if not tokens[end].row), last)
