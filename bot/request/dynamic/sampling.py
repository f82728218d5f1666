"""Parts → the text that a seed draws."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Protocol

from bot.errors import InvalidRequest
from bot.request.dynamic.chance import Chance
from bot.request.dynamic.grammar import (
    DEPTH_MAX,
    PICKS_MAX,
    SEPARATOR,
    Choice,
    Literal,
    Option,
    Parts,
    Wildcard,
    only_wildcard,
    parse,
)
from catalog.wildcard_index import WildcardFile, Wildcards, is_pattern

DRAWS_MAX: Final = 200
"""How many alternatives and lines one text may draw, those of wildcard files included."""
PATTERNS_MAX: Final = 10
"""How many different patterns, such as `animals/*`, the texts of a request may have."""
_SHOWN: Final = 40
_OFFERED: Final = 10
_BLANKS: Final = re.compile(r"[ \t]+")
_COMMAS: Final = re.compile(r" ?,(?: ?,)+")

_Path = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Share:
    """What one number of a lot takes of it: `weight` millionths from `start` on."""

    start: int
    weight: int
    number: int


class _Lot(Protocol):
    """What is drawn from: numbers with weights, each drawn at most once.

    total: of the weights. possible: how many numbers have one.
    """

    total: int
    possible: int

    def at(self, place: int) -> _Share:
        """What lies at `place`, from 0 to `total` - 1."""


class _Options:
    """The options of a choice."""

    def __init__(self, options: Sequence[Option]) -> None:
        self._weights = [option.weight for option in options]
        self._ends = list(accumulate(self._weights))
        self.total = self._ends[-1]
        self.possible = sum(1 for weight in self._weights if weight)

    def at(self, place: int) -> _Share:
        number = bisect_right(self._ends, place)
        weight = self._weights[number]
        return _Share(self._ends[number] - weight, weight, number)


class _Lines:
    """The lines of several wildcard files, one after another."""

    def __init__(self, names: Sequence[str], files: Sequence[WildcardFile]) -> None:
        self._names = names
        self._files = files
        self._firsts = [0, *accumulate(len(file.values) for file in files)]
        self._begins = [0, *accumulate(file.total for file in files)]
        self.total = self._begins[-1]
        self.possible = sum(file.possible for file in files)

    def at(self, place: int) -> _Share:
        which = bisect_right(self._begins, place) - 1
        index, start, weight = self._files[which].at(place - self._begins[which])
        return _Share(self._begins[which] + start, weight, self._firsts[which] + index)

    def line(self, number: int) -> tuple[str, str]:
        """The name of its file, and the line."""
        which = bisect_right(self._firsts, number) - 1
        return self._names[which], self._files[which].values[number - self._firsts[which]]


def _picks(lot: _Lot, count: int, chance: Chance, path: _Path) -> list[int]:
    """`count` of the numbers that have a weight, in the order they are drawn."""
    picked: list[_Share] = []
    left = lot.total
    for pick in range(1, count + 1):
        place = chance.below(left, path, pick)
        for before in sorted(picked, key=lambda share: share.start):
            if place >= before.start:
                place += before.weight
        picked.append(share := lot.at(place))
        left -= share.weight
    return [share.number for share in picked]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the texts of a request are drawn.

    nsfw: whether wildcards for age-restricted channels are known.
    """

    wildcards: Wildcards
    nsfw: bool
    _found: dict[str, _Lines | None] = field(default_factory=dict, init=False, repr=False)

    def find(self, wildcard: Wildcard, name: str) -> _Lines | None:
        """The lines of the files that are meant; None if there are none. name: of the field.

        Raises InvalidRequest for more than PATTERNS_MAX patterns: each is matched with every name.
        """
        pattern = wildcard.pattern
        if pattern not in self._found:
            patterns = sum(1 for known in self._found if is_pattern(known))
            if is_pattern(pattern) and patterns >= PATTERNS_MAX:
                raise InvalidRequest(name, "dynamic.patterns", max=PATTERNS_MAX)
            names = self.wildcards.find(pattern, nsfw=self.nsfw)
            files = [self.wildcards.files[name] for name in names]
            self._found[pattern] = _Lines(names, files) if names else None
        return self._found[pattern]


def check_wildcards(parts: Parts, place: Place, name: str) -> None:
    """Raise InvalidRequest for an unknown wildcard, also where it may not be drawn.

    A typing error is then named at once, and not by chance. name: of the field.
    """
    for part in parts:
        if isinstance(part, Choice):
            for option in part.options:
                check_wildcards(option.parts, place, name)
        elif isinstance(part, Wildcard) and not part.glued and place.find(part, name) is None:
            raise _unknown(part.pattern, place, name)


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


@dataclass(slots=True)
class _Drawing:
    chance: Chance
    place: Place
    draws: int = 0

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
        picked = self._picked(_Options(choice.options), choice.low, choice.high, path)
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
        lines = self.place.find(wildcard, self.chance.field)
        if lines is None and wildcard.glued:
            return wildcard.source
        if lines is None:
            raise _unknown(wildcard.pattern, self.place, self.chance.field)
        texts = []
        for number in self._picked(lines, low, high, path):
            file, line = lines.line(number)
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
        return _picks(lot, count, self.chance, path)

    def _invalid(self, code: str, **params: str | int | tuple[str, ...]) -> InvalidRequest:
        return InvalidRequest(self.chance.field, code, **params)


def _unknown(pattern: str, place: Place, name: str) -> InvalidRequest:
    wildcards, nsfw = place.wildcards, place.nsfw
    if near := wildcards.nearest(pattern, nsfw=nsfw):
        return InvalidRequest(name, "dynamic.unknown", value=pattern, nearest=near)
    if offered := wildcards.offered(nsfw=nsfw)[:_OFFERED]:
        return InvalidRequest(name, "dynamic.unlike", value=pattern, offered=offered)
    return InvalidRequest(name, "dynamic.none", value=pattern)


def _joined(texts: Sequence[str], separator: str) -> str:
    """A single text as it is; several without the blanks around them."""
    return texts[0] if len(texts) == 1 else separator.join(text.strip() for text in texts)
