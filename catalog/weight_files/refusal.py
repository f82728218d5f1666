"""Refusal: why a weight file or a folder cannot be used as a checkpoint."""

from dataclasses import dataclass
from typing import Final

from catalog.weight_files.layouts import INSTEAD


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a file is instead of a checkpoint that can be used.

    what: a noun phrase without an article, such as "LoRA for SD 3".
    advice: what its owner can do about it, "" if there is nothing.
    of_training: whether it is a checkpoint of which only the training is unclear; an entry that
        states its `prediction` settles that.
    unread: why its weights cannot be read, if they are in a format that is not; else "".
    """

    what: str
    advice: str = INSTEAD
    of_training: bool = False
    unread: str = ""


READ: Final = "in fp16, bf16, fp8, or one of the GGUF types that are read"
"""What to use instead of weights that cannot be read."""


def unclear_training(what: str, reason: str) -> Refusal:
    """The refusal of a checkpoint or model that may have been trained in any way.

    what: a noun phrase. reason: a clause, from `evidence`.
    """
    advice = "set prediction in its entry in models.toml"
    return Refusal(f"{what} ({reason})", advice, of_training=True)


def unreadable_weights(what: str, reason: str) -> Refusal:
    """The refusal of a model, or of one of its networks, whose weights cannot be read.

    what: a noun phrase. reason: a clause, from `quantisation`.
    """
    said = f"{what} (its weights cannot be read: {reason})"
    return Refusal(said, f"use a version of it {READ}", unread=reason)


_SPELT_OUT: Final = frozenset(("SDXL", "SD", "SSD-1B", "SVD", "LTX", "LLM"))
"""Abbreviations that begin with a vowel when read aloud, whatever their first letter."""


def with_article(phrase: str) -> str:
    """`phrase` after "a" or "an"."""
    first = phrase.split(" ", 1)[0]
    vowel = first in _SPELT_OUT or first[:1].casefold() in "aeiou"
    return f"{'an' if vowel else 'a'} {phrase}"
