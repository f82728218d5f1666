"""Characters that are not what they seem: those that turn the text around them, those unseen."""

import re
import unicodedata
from typing import Final

_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNSEEN: Final = ("Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Mn", "Mc", "Me")
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and symbols by their category, and yet nothing to see."""


def straight(text: str) -> str:
    """`text` without the marks that override the direction of writing until they are ended.

    In a message they would turn the bot's own words too (Trojan Source, CVE-2021-42574). Text that
    runs from right to left by itself does not need them.
    """
    return _TURNING.sub("", text)


def storable(text: str) -> str:
    """`text` without control characters and lone surrogates: neither SQLite nor PNG holds those."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def visible(text: str) -> bool:
    """Whether there is anything to see: more than blanks, joiners and lone accents."""
    return any(unicodedata.category(c) not in _UNSEEN and c not in _BLANK for c in text)
