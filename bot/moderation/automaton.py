"""Automaton: runs an Nfa over symbols as the deterministic automaton that it is, made as needed.

Each symbol takes at most as many steps as the Nfa has states, whatever the text and the patterns;
and one, where the same was met before.
"""

from collections.abc import Iterable
from typing import Final

from bot.moderation.folding import STRONG, WEAK, SymbolClass, class_of
from bot.moderation.nfa import Nfa, SymbolSet

KNOWN_MAX: Final = 50_000
"""How many transitions are kept, about 10 MB; after that, all are forgotten."""

_OTHER: Final = {"L": "\ue020", "I": "\ue021", "D": "\ue022", "S": STRONG, "W": WEAK}
"""Stands for the symbols of a class that the Nfa does not know."""


class Reached:
    """Where a search is in a text. Of one automaton, two that are equal are the same.

    states: of the Nfa, except 0 and what is reached with it. before: the class of the last symbol.
    """

    __slots__ = ("before", "states", "steps")

    def __init__(self, states: frozenset[int], before: SymbolClass) -> None:
        self.states: Final = states
        self.before: Final = before
        self.steps: Final[dict[str, tuple[Reached, tuple[int, ...]]]] = {}


def _boundary(before: SymbolClass, after: SymbolClass) -> bool:
    return before != after or before not in ("L", "D")


class Automaton:
    """Searches for all that the Nfa accepts at once. Not for several threads at a time."""

    def __init__(self, nfa: Nfa) -> None:
        self._nfa = nfa
        self._alphabet = {symbol for edges in nfa.edges for symbol in edges}
        self._ranged = any(group.ranges or group.symbols for sets in nfa.sets for group, _ in sets)
        self._starts = {flag: self._start(boundary=flag) for flag in (False, True)}
        self._reached: dict[tuple[frozenset[int], SymbolClass], Reached] = {}
        self._count = 0
        self.start: Final = Reached(frozenset(), "W")

    def __bool__(self) -> bool:
        """Whether there is anything to search for."""
        return bool(self._nfa.accepts)

    def run(self, reached: Reached, symbols: str, found: set[int]) -> Reached:
        """Where the search is after these symbols; what it finds on the way is added to `found`."""
        for symbol in symbols:
            step = reached.steps.get(symbol)
            if step is None:
                step = self._step(reached, symbol)
            reached, accepted = step
            if accepted:
                found.update(accepted)
        return reached

    def end(self, reached: Reached, found: set[int]) -> None:
        """The text ends there."""
        self.run(reached, WEAK, found)

    def merged(self, several: Iterable[Reached]) -> tuple[Reached, ...]:
        """The same, as one for each class of symbol before them."""
        states: dict[SymbolClass, frozenset[int]] = {}
        for each in several:
            states[each.before] = states.get(each.before, frozenset()) | each.states
        return tuple(self._at(own, before) for before, own in states.items())

    def _at(self, states: frozenset[int], before: SymbolClass) -> Reached:
        key = (states, before)
        if (known := self._reached.get(key)) is None:
            self._reached[key] = known = Reached(states, before)
        return known

    def _start(
        self, *, boundary: bool
    ) -> tuple[dict[str, tuple[int, ...]], tuple[tuple[SymbolSet, int], ...]]:
        """Where each symbol leads from state 0, where a match may begin."""
        edges: dict[str, tuple[int, ...]] = {}
        sets: list[tuple[SymbolSet, int]] = []
        for state in self._nfa.closure((0,), boundary=boundary):
            for symbol, ends in self._nfa.edges[state].items():
                edges[symbol] = (*edges.get(symbol, ()), *ends)
            sets += self._nfa.sets[state]
        return edges, tuple(sets)

    def _step(self, reached: Reached, symbol: str) -> tuple[Reached, tuple[int, ...]]:
        if self._count >= KNOWN_MAX:
            self._forget()
        self._count += 1
        nfa, of, read = self._nfa, class_of(symbol), symbol
        if symbol not in self._alphabet and not self._ranged:
            symbol = _OTHER[of]
        boundary = _boundary(reached.before, of)
        edges, sets = self._starts[boundary]
        ends = set(edges.get(symbol, ()))
        ends.update(end for group, end in sets if group.has(symbol, of))
        accepted = []
        for state in nfa.closure(reached.states, boundary=boundary):
            if state in nfa.accepts:
                accepted.append(nfa.accepts[state])
            ends.update(nfa.edges[state].get(symbol, ()))
            ends.update(end for group, end in nfa.sets[state] if group.has(symbol, of))
            if of == "S" and nfa.skips[state]:
                ends.add(state)
        reached.steps[read] = step = self._at(frozenset(ends), of), tuple(accepted)
        return step

    def _forget(self) -> None:
        for reached in (self.start, *self._reached.values()):
            reached.steps.clear()
        self._reached, self._count = {}, 0
