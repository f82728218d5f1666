"""Refusal: why a weight file or a folder cannot be used as a checkpoint."""

from dataclasses import dataclass
from typing import Final

ONLY_SDXL: Final = "only complete SDXL checkpoints can be used"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a file is instead of a checkpoint that can be used.

    what: a noun phrase without an article, such as "LoRA for Flux".
    advice: what its owner can do about it, "" if there is nothing.
    """

    what: str
    advice: str = ONLY_SDXL


_SPELT_OUT: Final = frozenset(("SDXL", "SD", "SSD-1B", "SVD", "LTX", "LLM"))
"""Abbreviations that begin with a vowel when read aloud, whatever their first letter."""


def with_article(phrase: str) -> str:
    """`phrase` after "a" or "an"."""
    first = phrase.split(" ", 1)[0]
    vowel = first in _SPELT_OUT or first[:1].casefold() in "aeiou"
    return f"{'an' if vowel else 'a'} {phrase}"
