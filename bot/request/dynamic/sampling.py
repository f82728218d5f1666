"""Parts → the text that a seed draws."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from bot.errors import InvalidRequest
from bot.request.dynamic.chance import Chance
from bot.request.dynamic.grammar import (
    DEPTH_MAX,
    PICKS_MAX,
    SEPARATOR,
    Choice,
    Literal,
    Parts,
    Wildcard,
    only_wildcard,
    parse,
)
from catalog.wildcard_index import VALUES_MAX, Wildcards

DRAWS_MAX: Final = 200
"""How many alternatives and lines one text may draw, those of wildcard files included."""
_SHOWN: Final = 40
_OFFERED: Final = 10
_BLANKS: Final = re.compile(r"[ \t]+")
_COMMAS: Final = re.compile(r" ?,(?: ?,)+")

_Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text is drawn. nsfw: whether wildcards for age-restricted channels are known."""

    wildcards: Wildcards
    nsfw: bool


def draw(parts: Parts, chance: Chance, place: Place) -> str:
    """The text that `chance` makes of `parts`.

    Blanks and commas that an empty alternative leaves double are single. Raises InvalidRequest for
    a wildcard that is unknown here, a line of a file that is not valid, or too many draws.
    """
    drawing = _Drawing(chance, place)
    text = drawing.text(parts, (), ())
    if not drawing.draws:
        return text
    return _COMMAS.sub(",", _BLANKS.sub(" ", text)).strip(" ,")


class _Lot:
    """What is drawn from: numbers with weights, each drawn at most once."""

    def __init__(self, weights: Sequence[int]) -> None:
        self._ends = list(accumulate(weights))
        self._weights = weights
        self.possible = sum(1 for weight in weights if weight)

    def pick(self, count: int, chance: Chance, path: _Path) -> list[int]:
        """`count` of the numbers that have a weight, in the order they are drawn."""
        picked: list[int] = []
        left = self._ends[-1]
        for pick in range(1, count + 1):
            place = chance.below(left, path, pick)
            for before in sorted(picked):
                if place >= self._ends[before] - self._weights[before]:
                    place += self._weights[before]
            number = bisect_right(self._ends, place)
            picked.append(number)
            left -= self._weights[number]
        return picked


@dataclass(frozen=True, slots=True)
class _Values:
    """The lines of all files that a pattern means. files: where each file's begin, and its name."""

    lines: tuple[str, ...]
    lot: _Lot
    begins: tuple[int, ...]
    names: tuple[str, ...]

    def file_of(self, number: int) -> str:
        return self.names[bisect_right(self.begins, number) - 1]


@dataclass(slots=True)
class _Drawing:
    chance: Chance
    place: Place
    draws: int = 0
    known: dict[str, _Values | None] = field(default_factory=dict)

    def text(self, parts: Parts, path: _Path, files: tuple[str, ...]) -> str:
        """files: the wildcard files that led here, which must not be drawn from again."""
        texts, number = [], 0
        for part in parts:
            match part:
                case Literal():
                    texts.append(part.text)
                case Choice():
                    texts.append(self._choice(part, (*path, number), files))
                    number += 1
                case Wildcard():
                    texts.append(self._wildcard(part, 1, 1, SEPARATOR, (*path, number), files))
                    number += 1
        return "".join(texts)

    def _choice(self, choice: Choice, path: _Path, files: tuple[str, ...]) -> str:
        if len(choice.options) == 1 and (only := only_wildcard(choice.options[0])):
            return self._wildcard(only, choice.low, choice.high, choice.separator, path, files)
        lot = _Lot([option.weight for option in choice.options])
        picked = self._picked(lot, choice.low, choice.high, path)
        texts = [
            self.text(choice.options[number].parts, (*path, number), files) for number in picked
        ]
        return _joined(texts, choice.separator)

    def _wildcard(
        self,
        wildcard: Wildcard,
        low: int,
        high: int | None,
        separator: str,
        path: _Path,
        files: tuple[str, ...],
    ) -> str:
        values = self._values(wildcard.pattern)
        if values is None and wildcard.glued:
            return wildcard.source
        if values is None:
            raise self._unknown(wildcard.pattern)
        texts = []
        for number in self._picked(values.lot, low, high, path):
            file, line = values.file_of(number), values.lines[number]
            if file in files:
                raise self._invalid("dynamic.cycle", value=file)
            if len(files) >= DEPTH_MAX:
                raise self._invalid("dynamic.deep", max=DEPTH_MAX)
            try:
                parts = parse(line, self.chance.field)
            except InvalidRequest:
                shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
                raise self._invalid("dynamic.line", name=file, value=shown) from None
            texts.append(self.text(parts, (*path, number), (*files, file)))
        return _joined(texts, separator)

    def _picked(self, lot: _Lot, low: int, high: int | None, path: _Path) -> list[int]:
        high = min(lot.possible, PICKS_MAX) if high is None else high
        if max(low, high) > lot.possible:
            raise self._invalid("dynamic.few", value=max(low, high), count=lot.possible)
        count = low + self.chance.below(high - low + 1, path, 0) if low < high else low
        self.draws += max(1, count)
        if self.draws > DRAWS_MAX:
            raise self._invalid("dynamic.draws", max=DRAWS_MAX)
        return lot.pick(count, self.chance, path)

    def _values(self, pattern: str) -> _Values | None:
        if pattern not in self.known:
            self.known[pattern] = self._found(pattern)
        return self.known[pattern]

    def _found(self, pattern: str) -> _Values | None:
        wildcards = self.place.wildcards
        names = wildcards.find(pattern, nsfw=self.place.nsfw)
        if not names:
            return None
        files = [wildcards.files[name] for name in names]
        count = sum(len(file.values) for file in files)
        if count > VALUES_MAX:
            raise self._invalid("dynamic.values", value=pattern, count=count, max=VALUES_MAX)
        lines = tuple(line for file in files for line in file.values)
        weights = [weight for file in files for weight in file.all_weights]
        begins = (0, *accumulate(len(file.values) for file in files[:-1]))
        return _Values(lines, _Lot(weights), begins, names)

    def _unknown(self, pattern: str) -> InvalidRequest:
        wildcards, nsfw = self.place.wildcards, self.place.nsfw
        if near := wildcards.nearest(pattern, nsfw=nsfw):
            return self._invalid("dynamic.unknown", value=pattern, nearest=near)
        if offered := wildcards.offered(nsfw=nsfw)[:_OFFERED]:
            return self._invalid("dynamic.unlike", value=pattern, offered=offered)
        return self._invalid("dynamic.none", value=pattern)

    def _invalid(self, code: str, **params: str | int | tuple[str, ...]) -> InvalidRequest:
        return InvalidRequest(self.chance.field, code, **params)


def _joined(texts: Sequence[str], separator: str) -> str:
    """A single text as it is; several without the blanks around them."""
    return texts[0] if len(texts) == 1 else separator.join(text.strip() for text in texts)
