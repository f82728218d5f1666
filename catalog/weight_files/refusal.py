"""Refusal: why a weight file or a folder cannot be used as a checkpoint."""

from dataclasses import dataclass
from typing import Final

from catalog.weight_files.layouts import INSTEAD


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a file is instead of a checkpoint that can be used.

    what: a noun phrase without an article, such as "LoRA for Flux".
    advice: what its owner can do about it, "" if there is nothing.
    of_training: whether it is a checkpoint of which only the training is unclear; an entry that
        states its `prediction` settles that.
    of_weights: whether it is a checkpoint whose weights are in a format that cannot be read.
    """

    what: str
    advice: str = INSTEAD
    of_training: bool = False
    of_weights: bool = False


def unclear_training(what: str, reason: str) -> Refusal:
    """The refusal of a checkpoint or model that may have been trained in any way.

    what: a noun phrase. reason: a clause, from `evidence`.
    """
    advice = "set prediction in its entry in models.toml"
    return Refusal(f"{what} ({reason})", advice, of_training=True)


def unreadable_weights(what: str, reason: str) -> Refusal:
    """The refusal of a checkpoint or model whose weights cannot be read.

    what: a noun phrase. reason: a clause, from `quantisation`.
    """
    advice = "use a version of it in fp16, bf16, fp8, or one of the GGUF types that are read"
    return Refusal(f"{what} ({reason})", advice, of_weights=True)


_SPELT_OUT: Final = frozenset(("SDXL", "SD", "SSD-1B", "SVD", "LTX", "LLM"))
"""Abbreviations that begin with a vowel when read aloud, whatever their first letter."""


def with_article(phrase: str) -> str:
    """`phrase` after "a" or "an"."""
    first = phrase.split(" ", 1)[0]
    vowel = first in _SPELT_OUT or first[:1].casefold() in "aeiou"
    return f"{'an' if vowel else 'a'} {phrase}"
