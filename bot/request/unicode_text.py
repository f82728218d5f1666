"""Unicode characters that mislead: bidirectional overrides, control characters, blanks."""

import re
import unicodedata
from typing import Final

_BIDI_MARKS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE: Final = ("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Mc", "Me")
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category, but rendered as nothing."""


def straight(text: str) -> str:
    """`text` without bidirectional embeddings, overrides and isolates.

    Left open, they would also reorder the bot's own words in a message (Trojan Source,
    CVE-2021-42574). Right-to-left scripts do not need them.
    """
    return _BIDI_MARKS.sub("", text)


def storable(text: str) -> str:
    """`text` without control characters and lone surrogates, which SQLite and PNG cannot hold."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def visible(text: str) -> bool:
    """Whether `text` renders as anything: more than blanks, joiners and combining marks."""
    return any(unicodedata.category(c) not in _INVISIBLE and c not in _BLANK for c in text)
