"""AUTOMATIC1111's prompt editing, alternation and AND, which are not painted as such."""

import re
from collections.abc import Iterator
from typing import Final

_PIECE: Final = re.compile(r"\\.|[\[\]|:]|\bAND\b|[^\\\[\]|:A]+|.", re.DOTALL)
_WHEN: Final = re.compile(r"\s*[0-9]*\.?[0-9]+\s*")
_CAPITALS: Final = re.compile(r"[A-Z][A-Z']+")

EDITING: Final = "[from:to:when]"
ALTERNATION: Final = "[a|b]"
COMPOSITION: Final = "AND"


def editing_forms(prompt: str) -> tuple[str, ...]:
    """Which of these forms a prompt has: EDITING, ALTERNATION, COMPOSITION."""
    return tuple(dict.fromkeys(_forms(prompt)))


def _forms(prompt: str) -> Iterator[str]:
    open_brackets: list[list[int]] = []
    """For each bracket that is open: where its colons are, and how many pipes it has."""
    pipes: list[int] = []
    for piece in _PIECE.finditer(prompt):
        match piece[0]:
            case "[":
                open_brackets.append([])
                pipes.append(0)
            case ":" if open_brackets:
                open_brackets[-1].append(piece.end())
            case "|" if open_brackets:
                pipes[-1] += 1
            case "]" if open_brackets:
                colons = open_brackets.pop()
                if pipes.pop():
                    yield ALTERNATION
                elif 1 <= len(colons) <= 2 and _WHEN.fullmatch(prompt, colons[-1], piece.start()):
                    yield EDITING
            case "AND" if not _among_capitals(prompt, piece.start(), piece.end()):
                yield COMPOSITION


def _among_capitals(prompt: str, start: int, end: int) -> bool:
    """Whether both neighbours are in capitals too, as on a sign: ROCK AND ROLL."""
    before = prompt[max(0, start - 40) : start].split()
    after = prompt[end : end + 40].split()
    return bool(before and after and _CAPITALS.match(before[-1]) and _CAPITALS.match(after[0]))
