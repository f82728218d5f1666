"""What a template can turn out as: every alternative, and every line of a wildcard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import InvalidRequest
from bot.moderation.automaton import Automaton, Reached
from bot.moderation.folding import READINGS, Reading
from bot.request.dynamic import parse
from bot.request.dynamic.grammar import (
    DEPTH_MAX,
    PICKS_MAX,
    Choice,
    Literal,
    Parts,
    Wildcard,
)
from catalog.wildcard_index import Wildcards

SYMBOLS_MAX: Final = 50_000
"""Symbols that are read for one template in each way of reading it. Of wildcards that have more,
the lines that were drawn are looked at, as always."""

_Several = tuple[Reached, ...]


def find_in_template(
    automaton: Automaton, text: str, wildcards: Wildcards, found: set[int]
) -> None:
    """Add to `found` what any text that `text` may draw has. Takes time linear in its length and
    that of the wildcards' lines."""
    try:
        parts = parse(text)
    except InvalidRequest:
        parts = (Literal(text, text),)
    readings = READINGS[:2] if text.isascii() else READINGS
    for reading in readings:
        walk = _Walk(automaton, wildcards, reading, found)
        for reached in walk.through(parts, (automaton.start,), ()):
            automaton.end(reached, found)


@dataclass(slots=True)
class _Walk:
    automaton: Automaton
    wildcards: Wildcards
    reading: Reading
    found: set[int]
    left: int = SYMBOLS_MAX
    inside: bool = False  # of a choice

    def through(self, parts: Parts, starts: _Several, files: tuple[str, ...]) -> _Several:
        """Where the search may be after `parts`. files: the wildcard files that led here."""
        last = len(parts) - 1
        for number, part in enumerate(parts):
            match part:
                case Literal():
                    symbols = self.reading.symbols(
                        part.text,
                        begins=number == 0 and not self.inside,
                        ends=number == last and not self.inside,
                    )
                    starts = self._run(starts, symbols)
                case Choice():
                    options = [option.parts for option in part.options if option.weight]
                    starts = self._picked(options, part, starts, files)
                case Wildcard():
                    starts = self._lines(part, starts, files)
        return starts

    def _run(self, starts: _Several, symbols: str) -> _Several:
        self.left -= len(symbols)
        if self.left < 0:
            return starts
        ends = (self.automaton.run(reached, symbols, self.found) for reached in starts)
        return self.automaton.merged(ends)

    def _picked(
        self, options: Sequence[Parts], choice: Choice, starts: _Several, files: tuple[str, ...]
    ) -> _Several:
        """Any of the options, up to as often as the choice draws; some of them again, which it
        would not."""
        most = PICKS_MAX if choice.high is None else choice.high
        separator = self.reading.symbols(choice.separator, begins=False, ends=False)
        ends = starts if choice.low == 0 else ()
        before: _Several = ()
        for pick in range(1, most + 1):
            starts = self._either(options, starts, files)
            again = set(starts) == set(before)
            if pick >= choice.low or again:
                ends = self.automaton.merged((*ends, *starts))
            if again:
                break
            before, starts = starts, self._run(starts, separator) if pick < most else starts
        return ends

    def _either(
        self, options: Iterable[Parts], starts: _Several, files: tuple[str, ...]
    ) -> _Several:
        before, self.inside = self.inside, True
        ends = [end for parts in options for end in self.through(parts, starts, files)]
        self.inside = before
        return self.automaton.merged(ends)

    def _lines(self, wildcard: Wildcard, starts: _Several, files: tuple[str, ...]) -> _Several:
        names = self.wildcards.find(wildcard.pattern, nsfw=True)
        if not names:
            return self._run(starts, self.reading.of(wildcard.source))
        ends: list[Reached] = []
        for name in names:
            if name in files or len(files) >= DEPTH_MAX:
                continue
            for line in self.wildcards.files[name].values:
                if self.left < 0:
                    return self.automaton.merged((*ends, *starts))
                try:
                    parts = parse(line)
                except InvalidRequest:
                    continue  # Drawing it is refused.
                ends += self._either([parts], starts, (*files, name))
        return self.automaton.merged(ends or starts)
