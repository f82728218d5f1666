"""AUTOMATIC1111's AND, which generates each part of a prompt apart: not supported here."""

import re
from typing import Final

COMPOSITION: Final = "AND"

_AND: Final = re.compile(r"\bAND\b")
_CAPITALS: Final = re.compile(r"[A-Z][A-Z']+")


def composes(prompt: str) -> bool:
    """Whether a prompt joins parts with AND."""
    return any(
        not _among_capitals(prompt, found.start(), found.end()) for found in _AND.finditer(prompt)
    )


def _among_capitals(prompt: str, start: int, end: int) -> bool:
    """Whether both neighbours are in capitals too, as on a sign: ROCK AND ROLL."""
    before = prompt[max(0, start - 40) : start].split()
    after = prompt[end : end + 40].split()
    return bool(before and after and _CAPITALS.match(before[-1]) and _CAPITALS.match(after[0]))
