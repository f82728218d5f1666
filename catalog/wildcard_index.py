"""Wildcards: which lists of words there are, as their files have them, and how they are found."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import accumulate
from types import MappingProxyType
from typing import Final

from catalog.search import Index

NAME: Final = r"(?![ _])[\w \-./*?&'+!]{1,100}?(?<![ _])"
"""What may stand between the underscores in a prompt; a `*` or `?` makes it a pattern."""
VALUES_MAX: Final = 20_000
"""How many values a file may have."""
WEIGHT_UNIT: Final = 1_000_000
"""A weight of 1: weights are whole millionths, so that the draw is exact."""
WEIGHT_MAX: Final = 1_000_000

_WEIGHT: Final = re.compile(r"\s*+([0-9]{1,7}+(?:\.[0-9]{0,6}+)?|\.[0-9]{1,6}+)\s*+::")
_WEIGHTLIKE: Final = re.compile(r"\s*+([+-]?[0-9.]++)\s*+::")
_GATED: Final = "nsfw"


@dataclass(frozen=True, slots=True)
class WildcardFile:
    """The values of one file, in order.

    weights: in millionths; None if all are alike. total: of the weights. possible: how many values
    have one.
    """

    values: tuple[str, ...]
    weights: tuple[int, ...] | None = None
    total: int = field(init=False)
    possible: int = field(init=False)
    _ends: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = self.weights
        ends = () if weights is None else tuple(accumulate(weights))
        object.__setattr__(self, "_ends", ends)
        object.__setattr__(self, "total", ends[-1] if ends else WEIGHT_UNIT * len(self.values))
        positive = len(self.values) if weights is None else sum(1 for each in weights if each)
        object.__setattr__(self, "possible", positive)

    def at(self, place: int) -> tuple[int, int, int]:
        """Which value lies at `place`, from 0 to `total` - 1; where it begins, and its weight."""
        if self.weights is None:
            index = place // WEIGHT_UNIT
            return index, index * WEIGHT_UNIT, WEIGHT_UNIT
        index = bisect_right(self._ends, place)
        return index, self._ends[index] - self.weights[index], self.weights[index]


def is_pattern(name: str) -> bool:
    """Whether it may mean several files."""
    return "*" in name or "?" in name


def weight_at(text: str, position: int = 0) -> tuple[int, int] | None:
    """The weight `3::` at `position`, in millionths, and where it ends; None if there is none."""
    if weight := _WEIGHT.match(text, position):
        whole, _, fraction = weight[1].partition(".")
        number = int(whole or 0) * WEIGHT_UNIT + int(fraction.ljust(6, "0"))
        if number <= WEIGHT_MAX * WEIGHT_UNIT:
            return number, weight.end()
    return None


def looks_weighted(text: str, position: int = 0) -> str | None:
    """The number at `position` that stands where a weight does, whether it may be one or not."""
    odd = _WEIGHTLIKE.match(text, position)
    return odd[1] if odd else None


class Wildcards:
    """The values of each wildcard file, by name; immutable."""

    def __init__(self, files: Mapping[str, WildcardFile] | None = None) -> None:
        """files: by names that differ in more than their case."""
        self.files: Final = MappingProxyType(dict(sorted((files or {}).items())))
        self._names = tuple(self.files)
        self._folded = {name.casefold(): name for name in self._names}
        self._index = Index((name, name) for name in self._names)

    def find(self, pattern: str, *, nsfw: bool) -> tuple[str, ...]:
        """The names that `pattern` means, sorted; none if there are no such files here."""
        wanted = pattern.casefold()
        if not is_pattern(wanted):
            name = self._folded.get(wanted)
            return (name,) if name and self._accepts(name, nsfw=nsfw) else ()
        parts = wanted.split("/")
        return tuple(
            name
            for folded, name in self._folded.items()
            if self._accepts(name, nsfw=nsfw) and _matches(folded.split("/"), parts)
        )

    def offered(self, *, nsfw: bool) -> tuple[str, ...]:
        """All names. nsfw: whether to include those for age-restricted channels."""
        return tuple(name for name in self._names if self._accepts(name, nsfw=nsfw))

    def search(self, text: str, *, nsfw: bool, limit: int = 25) -> tuple[str, ...]:
        """The names that match `text`, best first."""
        numbers = self._index.search(
            text, lambda n: self._accepts(self._names[n], nsfw=nsfw), limit
        )
        return tuple(self._names[n] for n in numbers)

    def nearest(self, text: str, *, nsfw: bool, limit: int = 3) -> tuple[str, ...]:
        """At most `limit` names that a user who typed `text` may have meant, nearest first."""
        return self._named(self._index.nearest(text, self._accept(nsfw), limit))

    def _named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self._names[number] for number in numbers)

    def _accept(self, nsfw: bool) -> Callable[[int], bool]:
        return lambda number: self._accepts(self._names[number], nsfw=nsfw)

    @staticmethod
    def _accepts(name: str, *, nsfw: bool) -> bool:
        return nsfw or _GATED not in name.casefold().split("/")


def _matches(name: list[str], pattern: list[str]) -> bool:
    """Whether the parts of a name match those of a pattern; `**` is any number of folders."""
    reached = {0}
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached, default=len(name) + 1), len(name) + 1))
        else:
            reached = {n + 1 for n in reached if n < len(name) and fnmatchcase(name[n], part)}
    return len(name) in reached
