"""Prompt syntax as AUTOMATIC1111's web UI documents it: weights, escapes, BREAK.

    (word)        weight 1.1            [word]         weight 1 / 1.1
    (word:1.3)    weight 1.3            \\( \\) \\[ \\] \\\\  the character itself
    BREAK         what follows starts a new chunk

Nested weights multiply. An unclosed bracket extends to the end; an unmatched closing bracket is
plain text, and so is a malformed weight. Round and square brackets are independent: each closes
the last one of its own kind. Any text is valid; nothing here raises.

Source: the wiki of AUTOMATIC1111/stable-diffusion-webui, page "Features", sections
"Attention/emphasis" and "Infinite prompt length". One deliberate difference: there a BREAK inside
brackets is an ordinary word, here it breaks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from catalog.families.unet import CLIP

WEIGHT_MIN: Final = -10
WEIGHT_MAX: Final = 10
"""Bounds that `compose` accepts for the weight of a word, with all its brackets multiplied."""

PARTS_MAX: Final = CLIP.chunks
"""Limit for the parts of a prompt between BREAKs, and for the chunks of 75 tokens it fills. The
longest English prompt fills 8, one token per letter 27; only many BREAKs or rare characters exceed
it, and every step would have to attend to all of it."""

_STEP = 1.1
_FAR = 1e6
"""Weights are clamped to this: far beyond what is accepted, yet finite at any nesting depth."""
_PIECE = re.compile(
    r"""\\(?P<escaped>[()\[\]\\])
    |   (?P<stray>\\)
    |   :\s*+(?P<weight>[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++))\s*+\)
    |   (?P<bracket>[()\[\]])
    |   [^\\()\[\]:]+ | :""",
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\([()\[\]\\])")
BREAK: Final = "BREAK"
_BREAK = re.compile(rf"\b{BREAK}\b")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text with one weight.

    part: the number of BREAKs before it.
    """

    text: str
    weight: float
    part: int = 0


@dataclass(slots=True)
class _Bracket:
    """A pair of brackets: its factor applies to pieces `start` to `end`, None if unclosed."""

    start: int
    factor: float
    end: int | None = None


class _Kind:
    """All brackets of one kind, round or square, in the order they open: they nest."""

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
        """For each of `count` pieces, the product of the factors of the brackets around it."""
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
    """A text split into pieces, each with the part it is in, and its brackets."""

    def __init__(self, text: str, *, breaks: bool = True) -> None:
        self.texts: list[str] = []
        self.parts: list[int] = []
        self.round = _Kind(_STEP)
        self.square = _Kind(1 / _STEP)
        self._part = 0
        self._breaks = breaks
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
        first, *others = _BREAK.split(text) if self._breaks else [text]
        self._literal(first.rstrip() if others else first)
        for number, piece in enumerate(others, 1):
            self._part += 1
            self._literal(piece.lstrip() if number == len(others) else piece.strip())


def parse(text: str, *, breaks: bool = True) -> tuple[Span, ...]:
    """Split `text` into non-empty spans, in order; neighbours differ in weight or part.

    breaks: whether BREAK is more than a word. The weights are finite but not bounded by WEIGHT_MIN
    and WEIGHT_MAX. Runs in time linear in the length of `text`, because it is called on the event
    loop.
    """
    reading = _Reading(text, breaks=breaks)
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


def marks(text: str) -> tuple[str, ...]:
    """What of "(", "[" and BREAK changes how `text` is read; not what stands for itself, such as
    an escaped bracket or one without anything in it."""
    reading = _Reading(text)
    count = len(reading.texts)
    kinds = (("(", reading.round), ("[", reading.square))
    found = [
        mark
        for mark, kind in kinds
        if any(each.start < (count if each.end is None else each.end) for each in kind.all)
    ]
    return (*found, BREAK) if reading.parts and reading.parts[-1] else tuple(found)


def _near(weight: float) -> float:
    return max(-_FAR, min(weight, _FAR))


def plain(text: str) -> str:
    """`text` without weights, each BREAK replaced by a line break."""
    parts = groupby(parse(text), lambda span: span.part)
    return "\n".join("".join(span.text for span in spans) for _, spans in parts)


def unescaped(text: str) -> str:
    """`text` as a model reads it to which brackets are only words: what has a backslash before it
    here is itself there, too. Every other backslash stays."""
    return _ESCAPED.sub(r"\1", text)


def join(prompts: Sequence[str]) -> str:
    """Join prompts with commas; a bracket left open in one is closed at its end.

    The comma goes inside the bracket, where it also keeps a trailing `:1.2` from becoming its
    weight, and a trailing backslash from escaping the closing bracket.
    """
    return " ".join((*(f"{text},{_closing(text)}" for text in prompts[:-1]), *prompts[-1:]))


def _closing(text: str) -> str:
    reading = _Reading(text)
    return ")" * len(reading.round.open) + "]" * len(reading.square.open)
