"""Put what was typed into the text of a preset.

`{prompt}` in it stands for that; every other brace is one of a dynamic prompt, in which `{prompt}`
may stand as well.
"""

import re
from collections.abc import Iterator
from typing import Final

from bot.request import emphasis
from bot.request.syntax import tidied

PLACE: Final = "{prompt}"
_PIECE: Final = re.compile(r"\\.|\{prompt\}|[{}]", re.DOTALL)
_BREAK: Final = re.compile(r"\\.|[{}|]", re.DOTALL)


def has_place(text: str) -> bool:
    """Whether `text` says where what is typed goes; `\\{prompt}` is a word."""
    return any(True for _ in _places(text))


def fill(text: str, typed: str) -> str:
    """`text` with `typed` at each of its places; after `typed` if it has none."""
    places = [*_places(text)]
    if not places:
        return emphasis.join([part for part in (typed, text) if part.strip()])
    filled, end = [], 0
    for start, nested in places:
        filled += [text[end:start], _as_option(typed) if nested else typed]
        end = start + len(PLACE)
    filled.append(text[end:])
    whole = "".join(filled)
    return whole if typed.strip() else tidied(whole)


def _places(text: str) -> Iterator[tuple[int, bool]]:
    """Where each `{prompt}` begins, and whether it is inside of other braces."""
    depth = 0
    for piece in _PIECE.finditer(text):
        if piece[0] == PLACE:
            yield piece.start(), depth > 0
        elif piece[0] in "{}":
            depth += 1 if piece[0] == "{" else -1


def _as_option(typed: str) -> str:
    """`typed` as one alternative: a bar that is only a word outside of braces would end it."""
    parts, end, depth = [], 0, 0
    for piece in _BREAK.finditer(typed):
        if piece[0] in "{}":
            depth += 1 if piece[0] == "{" else -1
        elif piece[0] == "|" and depth == 0:
            parts += [typed[end : piece.start()], "\\|"]
            end = piece.end()
    return "".join((*parts, typed[end:]))
