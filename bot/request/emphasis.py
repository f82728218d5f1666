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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

WEIGHT_MIN: Final = -10
WEIGHT_MAX: Final = 10
"""What `compose` accepts for the weight of any word, all brackets around it multiplied."""

PARTS_MAX: Final = 32
"""Stretches of a prompt between BREAKs, and chunks of 75 tokens that it may fill. Plain English at
its longest fills 8, one letter a token 27; only a row of BREAKs or of rare characters comes here,
and every step would look at all of it."""

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
_BREAK = re.compile(r"\bBREAK\b")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text with one weight.

    part: how many BREAKs stand before it.
    """

    text: str
    weight: float
    part: int = 0


@dataclass(slots=True)
class _Bracket:
    """A pair of brackets: its factor holds for the pieces from `start` up to `end`, if it ends."""

    start: int
    factor: float
    end: int | None = None


class _Kind:
    """The brackets of one kind, in the order of their opening: they nest."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.all: list[_Bracket] = []
        self.open: list[_Bracket] = []

    def begin(self, start: int) -> None:
        bracket = _Bracket(start, self.factor)
        self.all.append(bracket)
        self.open.append(bracket)

    def finish(self, end: int, factor: float | None = None) -> None:
        bracket = self.open.pop()
        bracket.end = end
        bracket.factor = self.factor if factor is None else factor

    def products(self, count: int) -> Iterator[float]:
        """For each of `count` pieces, the factors of the brackets around it multiplied."""
        brackets = iter([bracket for bracket in self.all if bracket.end != bracket.start])
        following = next(brackets, None)
        around: list[tuple[int | None, float]] = [(None, 1.0)]
        for index in range(count):
            while around[-1][0] is not None and around[-1][0] <= index:
                around.pop()
            while following is not None and following.start == index:
                around.append((following.end, _near(around[-1][1] * following.factor)))
                following = next(brackets, None)
            yield around[-1][1]


class _Reading:
    """A text taken to pieces, each with the part it is in, and its brackets."""

    def __init__(self, text: str) -> None:
        self.texts: list[str] = []
        self.parts: list[int] = []
        self.round = _Kind(_STEP)
        self.square = _Kind(1 / _STEP)
        self._part = 0
        for piece in _PIECE.finditer(text):
            if piece["escaped"]:
                self._literal(piece["escaped"])
            elif piece["weight"] and self.round.open:
                self.round.finish(len(self.texts), _near(float(piece["weight"])))
            elif piece["bracket"]:
                self._bracket(piece["bracket"])
            elif not piece["stray"]:
                self._words(piece[0])

    def _literal(self, text: str) -> None:
        self.texts.append(text)
        self.parts.append(self._part)

    def _bracket(self, bracket: str) -> None:
        match bracket:
            case "(":
                self.round.begin(len(self.texts))
            case "[":
                self.square.begin(len(self.texts))
            case ")" if self.round.open:
                self.round.finish(len(self.texts))
            case "]" if self.square.open:
                self.square.finish(len(self.texts))
            case _:
                self._literal(bracket)

    def _words(self, text: str) -> None:
        first, *others = _BREAK.split(text)
        self._literal(first.rstrip() if others else first)
        for number, piece in enumerate(others, 1):
            self._part += 1
            self._literal(piece.lstrip() if number == len(others) else piece.strip())


def parse(text: str) -> tuple[Span, ...]:
    """The stretches of `text` in their order, none of them empty, neighbours different.

    The weights are finite but not bounded by WEIGHT_MIN and WEIGHT_MAX. Takes time linear in the
    length of `text`: it runs on the event loop.
    """
    reading = _Reading(text)
    count = len(reading.texts)
    weights = (
        one * other
        for one, other in zip(
            reading.round.products(count), reading.square.products(count), strict=True
        )
    )
    pieces = zip(reading.texts, zip(weights, reading.parts, strict=True), strict=True)
    return tuple(
        Span("".join(text for text, _ in same), weight, part)
        for (weight, part), same in groupby((p for p in pieces if p[0]), lambda each: each[1])
    )


def _near(weight: float) -> float:
    return max(-_FAR, min(weight, _FAR))


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
    reading = _Reading(text)
    return ")" * len(reading.round.open) + "]" * len(reading.square.open)
