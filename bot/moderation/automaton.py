"""Automaton: runs an Nfa over symbols as the deterministic automaton that it is, made as needed.

Each symbol takes at most as many steps as the Nfa has states, whatever the text and the patterns;
and one, where the same was met before. What is kept of that is bounded, and so may be the steps.
"""

from collections.abc import Iterable
from typing import Final

from bot.moderation.folding import STRONG, WEAK, SymbolClass, class_of
from bot.moderation.nfa import Nfa, SymbolSet

HELD_MAX: Final = 50_000
"""How much is kept of what was met: states of all places together, about 60 bytes each. After that,
all is forgotten."""
HELD_IN_STATE: Final = 6
"""How many of these take as much as a state of the Nfa."""
_PLACE: Final = 10
"""What a place takes besides its states, as states; a transition takes _TRANSITION."""
_TRANSITION: Final = 3

_OTHER: Final = {"L": "\ue020", "I": "\ue021", "D": "\ue022", "S": STRONG, "W": WEAK}
"""Stands for the symbols of a class that the Nfa does not know."""


class TooComplex(Exception):
    """A search would have gone through more states than it may."""


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
    """Searches for all that the Nfa accepts at once. Not for several threads at a time.

    left: how many states may still be gone through; None for any number. held: how much is kept of
    what was met, see HELD_MAX.
    """

    def __init__(self, nfa: Nfa) -> None:
        self.left: int | None = None
        self.held = 0
        self._nfa = nfa
        self._alphabet = {symbol for edges in nfa.edges for symbol in edges}
        self._ranged = any(group.ranges or group.symbols for sets in nfa.sets for group, _ in sets)
        self._starts = {flag: self._start(boundary=flag) for flag in (False, True)}
        self._reached: dict[tuple[frozenset[int], SymbolClass], Reached] = {}
        self._beginnings: dict[tuple[str, bool], frozenset[int]] = {}
        self.start: Final = Reached(frozenset(), "W")

    def __bool__(self) -> bool:
        """Whether there is anything to search for."""
        return bool(self._nfa.accepts)

    def run(self, reached: Reached, symbols: str, found: set[int]) -> Reached:
        """Where the search is after these symbols; what it finds on the way is added to `found`.

        Raises TooComplex.
        """
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
            self._spend(len(each.states))
            states[each.before] = states.get(each.before, frozenset()) | each.states
        return tuple(self._at(own, before) for before, own in states.items())

    def _at(self, states: frozenset[int], before: SymbolClass) -> Reached:
        key = (states, before)
        if (known := self._reached.get(key)) is None:
            self._hold(len(states) + _PLACE)
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
        nfa, of, read = self._nfa, class_of(symbol), symbol
        if symbol not in self._alphabet and not self._ranged:
            symbol = _OTHER[of]
        boundary = _boundary(reached.before, of)
        ends = set(self._begun(symbol, of, boundary=boundary))
        through = nfa.closure(reached.states, boundary=boundary)
        self._spend(len(through))
        edges, sets = nfa.edges, nfa.sets
        for state in through:
            if symbol in (own := edges[state]):
                ends.update(own[symbol])
            for group, end in sets[state]:
                if end not in ends and group.has(symbol, of):
                    ends.add(end)
        if of == "S":
            ends.update(state for state in through if nfa.skips[state])
        accepted = [nfa.accepts[state] for state in nfa.accepts.keys() & through]
        self._hold(_TRANSITION)
        reached.steps[read] = step = self._at(frozenset(ends), of), tuple(accepted)
        return step

    def _begun(self, symbol: str, of: SymbolClass, *, boundary: bool) -> frozenset[int]:
        """Where a match that begins with the symbol has come to."""
        key = (symbol, boundary)
        if (known := self._beginnings.get(key)) is None:
            edges, sets = self._starts[boundary]
            self._spend(len(sets))
            ends = {end for group, end in sets if group.has(symbol, of)}
            known = frozenset(ends.union(edges.get(symbol, ())))
            self._hold(len(known) + _PLACE)
            self._beginnings[key] = known
        return known

    def _spend(self, states: int) -> None:
        if self.left is not None:
            self.left -= states
            if self.left < 0:
                raise TooComplex

    def _hold(self, states: int) -> None:
        if self.held + states > HELD_MAX:
            self._forget()
        self.held += states

    def _forget(self) -> None:
        for reached in (self.start, *self._reached.values()):
            reached.steps.clear()
        self._reached, self._beginnings, self.held = {}, {}, 0
