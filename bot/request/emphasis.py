"""The prompt's own language: weights, escapes, BREAK, as AUTOMATIC1111's web UI documents them.

    (word)        weight 1.1            [word]         weight 1 / 1.1
    (word:1.3)    weight 1.3            \\( \\) \\[ \\] \\\\  the character itself
    BREAK         what follows starts a new chunk

Nested weights multiply. An unclosed bracket holds to the end; a closing one that was never opened
is text, and so is a number that is none. Round and square brackets do not see each other: each
closes the last one of its own kind. Every text has a meaning; nothing here raises.

Source: the wiki of AUTOMATIC1111/stable-diffusion-webui, page "Features", sections
"Attention/emphasis" and "Infinite prompt length". One difference on purpose: there a BREAK inside
brackets is painted as a word, here it breaks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

WEIGHT_MIN: Final = -10
WEIGHT_MAX: Final = 10
"""What `compose` accepts for the weight of any word, all brackets around it multiplied."""

_STEP = 1.1
_FAR = 1e6
"""Products stop here: far outside of what is accepted, and finite however deep the nesting."""
_PIECE = re.compile(
    r"""\\(?P<escaped>[()\[\]\\])
    |   (?P<stray>\\)
    |   :\s*(?P<weight>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*\)
    |   (?P<bracket>[()\[\]])
    |   [^\\()\[\]:]+ | :""",
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text with one weight.

    part: how many BREAKs stand before it.
    """

    text: str
    weight: float
    part: int = 0


class _Reading:
    """The spans so far, and where the brackets opened that are still open."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.weights: list[float] = []
        self.parts: list[int] = []
        self.part = 0
        self.round: list[int] = []
        self.square: list[int] = []

    def write(self, text: str) -> None:
        for number, piece in enumerate(_BREAK.split(text)):
            self.part += number > 0
            self.literal(piece)

    def literal(self, text: str) -> None:
        self.texts.append(text)
        self.weights.append(1.0)
        self.parts.append(self.part)

    def multiply(self, start: int, factor: float) -> None:
        """Multiply the weight of everything since span `start`."""
        for index in range(start, len(self.weights)):
            product = self.weights[index] * factor
            self.weights[index] = max(-_FAR, min(product, _FAR))

    def bracket(self, bracket: str) -> None:
        match bracket:
            case "(":
                self.round.append(len(self.texts))
            case "[":
                self.square.append(len(self.texts))
            case ")" if self.round:
                self.multiply(self.round.pop(), _STEP)
            case "]" if self.square:
                self.multiply(self.square.pop(), 1 / _STEP)
            case _:
                self.literal(bracket)

    def read(self, text: str) -> None:
        for piece in _PIECE.finditer(text):
            if piece["escaped"]:
                self.literal(piece["escaped"])
            elif piece["weight"] and self.round:
                factor = max(-_FAR, min(float(piece["weight"]), _FAR))
                self.multiply(self.round.pop(), factor)
            elif piece["bracket"]:
                self.bracket(piece["bracket"])
            elif not piece["stray"]:
                self.write(piece[0])


def parse(text: str) -> tuple[Span, ...]:
    """The stretches of `text` in their order, none of them empty, neighbours different.

    The weights are finite but not bounded by WEIGHT_MIN and WEIGHT_MAX.
    """
    reading = _Reading()
    reading.read(text)
    for start in reading.round:
        reading.multiply(start, _STEP)
    for start in reading.square:
        reading.multiply(start, 1 / _STEP)
    filled = (
        (text, (weight, part))
        for text, weight, part in zip(reading.texts, reading.weights, reading.parts, strict=True)
        if text
    )
    return tuple(
        Span("".join(text for text, _ in same), weight, part)
        for (weight, part), same in groupby(filled, lambda each: each[1])
    )


def plain(text: str) -> str:
    """The words of `text` without their weights; a line break where a BREAK stood."""
    parts = groupby(parse(text), lambda span: span.part)
    return "\n".join("".join(span.text for span in spans) for _, spans in parts)


def join(prompts: Sequence[str]) -> str:
    """One prompt of several, with commas; a bracket left open in one ends with that one.

    The comma goes inside the bracket, where it also keeps a last `:1.2` from becoming its weight
    and a last backslash from escaping what closes it.
    """
    return " ".join((*(f"{text},{_closing(text)}" for text in prompts[:-1]), *prompts[-1:]))


def _closing(text: str) -> str:
    reading = _Reading()
    reading.read(text)
    return ")" * len(reading.round) + "]" * len(reading.square)
