"""A blocked word in an Nfa, in the ways in which people write it to get around a list."""

from itertools import groupby
from typing import Final

from bot.errors import InvalidRequest
from bot.moderation.folding import (
    STAND_INS,
    STRONG,
    TALL,
    WEAK,
    class_of,
    digit_symbols,
    folded_word,
)
from bot.moderation.nfa import Nfa, SymbolSet

LENGTH_MAX: Final = 100
FULLY_FROM: Final = 3
"""Letters from which on a word is also found with digits for letters, or spelt out."""
_SELDOM_DOUBLED: Final = frozenset("ahijkquvwxy")
"""One of them more is a stretched word; of other letters, two may make another word."""
_STRETCHED: Final = 3
_DOUBLED: Final = 2

_SIGNS_READ: Final = str.maketrans({"@": "a", "$": "s", "!": WEAK, STRONG: WEAK})
_SEPARATORS: Final = SymbolSet(classes="SW")


class Spelling:
    """Adds words to `nfa`; words that begin alike share their states."""

    def __init__(self, nfa: Nfa) -> None:
        self._nfa = nfa
        self._starts: dict[bool, int] = {}
        self._after: dict[tuple[int, str, int, bool], int] = {}
        self._spelt: dict[tuple[int, str], int] = {}
        self._doubled: dict[tuple[int, str], int] = {}

    def add(self, text: str, number: int) -> None:
        """Look for `text`, as `number`. A `*` at its beginning or end stands for more of a word.

        Raises InvalidRequest if it is no word.
        """
        for symbols in readings(text):
            self._add(symbols, number, begins=text[0] != "*", ends=text[-1] != "*")

    def _add(self, symbols: str, number: int, *, begins: bool, ends: bool) -> None:
        nfa = self._nfa
        accepting = nfa.state(skipping=False)
        nfa.accepts[accepting] = number
        start = self._start(boundary=begins)
        long = sum(symbol != WEAK for symbol in symbols) >= FULLY_FROM
        state = start
        for symbol, run in groupby(symbols):
            state = self._next(state, symbol, len(list(run)), stand_ins=long)
        nfa.link(state, accepting, boundary=ends)
        if long:
            state = start
            for n, symbol in enumerate(symbols.replace(WEAK, "")):
                state = self._spelt_next(state, symbol, first=n == 0)
            nfa.link(state, accepting, boundary=True)
            if all(class_of(symbol) == "L" for symbol in symbols):
                state = start
                for symbol, run in groupby(symbols):
                    state = self._doubled_next(state, symbol, len(list(run)))
                nfa.link(state, accepting, boundary=ends)

    def _start(self, *, boundary: bool) -> int:
        if boundary not in self._starts:
            self._starts[boundary] = start = self._nfa.state(skipping=False)
            self._nfa.link(0, start, boundary=boundary)
        return self._starts[boundary]

    def _next(self, state: int, symbol: str, count: int, *, stand_ins: bool) -> int:
        """The state after `count` of `symbol`, or after more of them than a word would have."""
        key = (state, symbol, count, stand_ins)
        if key in self._after:
            return self._after[key]
        nfa = self._nfa
        self._after[key] = after = nfa.state()
        if symbol == WEAK:
            # The words of a phrase may also be written as one.
            nfa.link(state, after)
            nfa.on_set(state, _SEPARATORS, after)
            nfa.on_set(after, _SEPARATORS, after)
            return after
        symbols = spellings(symbol, stand_ins=stand_ins)
        for _ in range(count):
            state = self._step(state, symbols)
        nfa.link(state, after)
        if class_of(symbol) != "L":
            return after
        if symbol not in _SELDOM_DOUBLED:
            for _ in range(max(1, _STRETCHED - count)):
                state = self._step(state, symbols)
            nfa.link(state, after)
        nfa.on(state, symbols, state)
        return after

    def _step(self, state: int, symbols: str) -> int:
        end = self._nfa.state()
        self._nfa.on(state, symbols, end)
        return end

    def _doubled_next(self, state: int, symbol: str, count: int) -> int:
        """The state after `count` of `symbol`, each of them doubled, or more."""
        for _ in range(_DOUBLED * count):
            if (state, symbol) not in self._doubled:
                self._doubled[state, symbol] = self._step(state, spellings(symbol, stand_ins=True))
            state = self._doubled[state, symbol]
        return state

    def _spelt_next(self, state: int, symbol: str, *, first: bool) -> int:
        """The state after `symbol` with something between it and the one before."""
        if (state, symbol) in self._spelt:
            return self._spelt[state, symbol]
        nfa, between = self._nfa, state
        if not first:
            between = nfa.state(skipping=False)
            nfa.on_set(state, _SEPARATORS, between)
            nfa.on_set(between, _SEPARATORS, between)
        end = nfa.state(skipping=False)
        nfa.on(between, spellings(symbol, stand_ins=True), end)
        self._spelt[state, symbol] = end
        return end


def readings(text: str) -> tuple[str, ...]:
    """The symbols of a word to look for, without the `*`. Raises InvalidRequest if it is none."""
    if len(text) > LENGTH_MAX:
        raise InvalidRequest("word", "words.long", value=len(text), max=LENGTH_MAX)
    inner = text.removeprefix("*").removesuffix("*")
    if "*" in inner:
        raise InvalidRequest("word", "words.star", value=text)
    found = []
    for symbols in folded_word(inner):
        words = symbols.translate(_SIGNS_READ).split()
        letters = "".join(words)
        if len(letters) < 2 and (not letters or class_of(letters) != "I"):
            raise InvalidRequest("word", "words.short", value=text)
        found.append(WEAK.join(words))
    return tuple(dict.fromkeys(found))


def spellings(symbol: str, *, stand_ins: bool) -> str:
    """The symbols that are read as `symbol`, itself included."""
    if class_of(symbol) == "D":
        return digit_symbols(symbol if symbol.isascii() else str(ord(symbol) & 0xF))
    others = STAND_INS.get(symbol, "")
    if not stand_ins:
        others = TALL if TALL in others else ""
    return symbol + others
