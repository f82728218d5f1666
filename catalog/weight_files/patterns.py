"""Numbers that a configuration of peft gives by the names of modules."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

_LITERAL: Final = re.compile(r"\^?(?:\w|-|\\?\.)+\$?")
_ELABORATE: Final = re.compile(r"\)\s*[*+{]|\(\?|\\[1-9]|[*+}][*+]|\[\[|--|&&|~~|\|\|")
_REPEATS: Final = re.compile(r"[*+{]")
_LENGTH_MAX: Final = 200
"""Characters of a pattern and of a path; SDXL's longest path has 75."""
_REPEATS_MAX: Final = 2
_CHOICES_MAX: Final = 8
_EXPRESSIONS_MAX: Final = 8


class ElaboratePattern(ValueError):
    """args[0]: a pattern that could take minutes to match, or that is none."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Regular expressions for the end of a module's path, as in `alpha_pattern` of peft.

    The first that matches counts, after a dot or from the start (peft.utils.other.get_pattern_key).
    Most are plain paths, which are looked up; the others match in polynomial time at worst, because
    the files are untrusted.
    """

    _plain: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    _whole: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    _expressions: tuple[tuple[re.Pattern[str], int, float], ...] = ()

    @classmethod
    def of(cls, table: Mapping[str, float]) -> "Patterns":
        """table: number by pattern, in the file's order. Raises ElaboratePattern."""
        plain: dict[str, tuple[int, float]] = {}
        whole: dict[str, tuple[int, float]] = {}
        expressions: list[tuple[re.Pattern[str], int, float]] = []
        for number, (pattern, value) in enumerate(table.items()):
            if len(pattern) <= _LENGTH_MAX and _LITERAL.fullmatch(pattern):
                path = pattern.strip("^$").replace("\\", "")
                (whole if pattern.startswith("^") else plain).setdefault(path, (number, value))
            else:
                expressions.append((_expression(pattern), number, value))
        if len(expressions) > _EXPRESSIONS_MAX:
            raise ElaboratePattern(expressions[-1][0].pattern)
        return cls(plain, whole, tuple(expressions))

    def find(self, paths: Iterable[str]) -> float | None:
        """The number for the module that goes by these paths; None where no pattern matches."""
        found = [hit for path in paths if len(path) <= _LENGTH_MAX for hit in self._hits(path)]
        return min(found)[1] if found else None

    def _hits(self, path: str) -> Iterator[tuple[int, float]]:
        if path in self._whole:
            yield self._whole[path]
        if self._plain:
            words = path.split(".")
            ends = (".".join(words[begin:]) for begin in range(len(words)))
            yield from (self._plain[end] for end in ends if end in self._plain)
        for pattern, number, value in self._expressions:
            if pattern.fullmatch(path):
                yield number, value


NO_PATTERNS: Final = Patterns()


def _expression(pattern: str) -> re.Pattern[str]:
    """Compile a pattern for the end of a path. Raises ElaboratePattern.

    Allowed are a few repeated characters and choices, but no repeated groups: these can take
    exponential time.
    """
    if (
        len(pattern) > _LENGTH_MAX
        or _ELABORATE.search(pattern)
        or len(_REPEATS.findall(pattern)) > _REPEATS_MAX
        or pattern.count("|") + pattern.count("?") > _CHOICES_MAX
    ):
        raise ElaboratePattern(pattern)
    try:
        return re.compile(rf"(?:.*\.)?(?:{pattern})")
    except re.error:
        raise ElaboratePattern(pattern) from None
