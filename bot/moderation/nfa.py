"""Nfa: a nondeterministic automaton over the symbols of a folded text (Thompson's construction)."""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.moderation.folding import SymbolClass


@dataclass(frozen=True, slots=True)
class SymbolSet:
    """Symbols by themselves, by ranges of code points, or by their class.

    negated: every symbol that is in none of them.
    """

    symbols: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    classes: str = ""
    negated: bool = False

    def has(self, symbol: str, of: SymbolClass) -> bool:
        inside = symbol in self.symbols or of in self.classes
        if not inside and self.ranges:
            inside = any(low <= symbol <= high for low, high in self.ranges)
        return inside is not self.negated


class Nfa:
    """States are numbers. A text is searched for from every place of it: state 0 is always reached.

    States that `skipping` made stay where a STRONG symbol is read, so that what they look for is
    also found with brackets or dots within.
    """

    def __init__(self) -> None:
        self.edges: list[dict[str, tuple[int, ...]]] = []
        self.sets: list[tuple[tuple[SymbolSet, int], ...]] = []
        self.free: list[tuple[int, ...]] = []
        self.at_boundary: list[tuple[int, ...]] = []
        self.skips: list[bool] = []
        self.accepts: dict[int, int] = {}
        self.state(skipping=False)

    def __len__(self) -> int:
        return len(self.edges)

    def state(self, *, skipping: bool = True) -> int:
        self.edges.append({})
        self.sets.append(())
        self.free.append(())
        self.at_boundary.append(())
        self.skips.append(skipping)
        return len(self.edges) - 1

    def on(self, start: int, symbols: Iterable[str], end: int) -> None:
        """From `start`, each of these symbols leads to `end`."""
        edges = self.edges[start]
        for symbol in symbols:
            edges[symbol] = (*edges.get(symbol, ()), end)

    def on_set(self, start: int, symbols: SymbolSet, end: int) -> None:
        self.sets[start] = (*self.sets[start], (symbols, end))

    def link(self, start: int, end: int, *, boundary: bool = False) -> None:
        """`end` is reached with `start`; boundary: only where a word begins or ends."""
        links = self.at_boundary if boundary else self.free
        links[start] = (*links[start], end)

    def closure(self, states: Iterable[int], *, boundary: bool) -> set[int]:
        """These states and what is reached with them, where `boundary` says what place it is."""
        reached = set(states)
        waiting = list(reached)
        links, free = self.at_boundary, self.free
        while waiting:
            state = waiting.pop()
            ends = (*free[state], *links[state]) if boundary else free[state]
            for end in ends:
                if end not in reached:
                    reached.add(end)
                    waiting.append(end)
        return reached
