r"""Patterns: a small regular language, without anything that can take long to match.

Literals, `.`, `[abc]`, `[^a-z]`, `\d`, `\w`, `\s`, `\b`, `?`, `*`, `+`, `{m,n}`, `|` and groups.
They are matched with a folded text, anywhere in it: letters have no case and no marks, and a blank
in a pattern, like any other sign, stands for one or more signs that are neither letter nor digit.
"""

from dataclasses import dataclass
from typing import Final, Never, TypeAlias

from bot.errors import InvalidRequest
from bot.moderation.folding import class_of, digit_symbols, folded_word
from bot.moderation.nfa import Nfa, SymbolSet
from bot.moderation.spelling import spellings

LENGTH_MAX: Final = 200
STATES_MAX: Final = 1_000
REPEAT_MAX: Final = 50
DEPTH_MAX: Final = 20

_ANY: Final = SymbolSet(negated=True)
_SIGNS: Final = SymbolSet(classes="SW")
_ESCAPES: Final = {
    "d": SymbolSet(classes="D"),
    "D": SymbolSet(classes="D", negated=True),
    "w": SymbolSet(classes="LID"),
    "W": _SIGNS,
    "s": _SIGNS,
    "S": SymbolSet(classes="LID"),
}


@dataclass(frozen=True, slots=True)
class _One:
    """One symbol. many: or more of them."""

    of: SymbolSet
    many: bool = False


@dataclass(frozen=True, slots=True)
class _Boundary:
    pass


@dataclass(frozen=True, slots=True)
class _Row:
    nodes: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Either:
    nodes: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: "_Node"
    low: int
    high: int | None


_Node: TypeAlias = _One | _Boundary | _Row | _Either | _Repeat


def add_pattern(nfa: Nfa, text: str, number: int) -> None:
    """Look for the pattern, as `number`. Raises InvalidRequest: words.pattern_*"""
    node = _Reader(text).read()
    first = len(nfa)
    start = nfa.state(skipping=False)
    accepting = nfa.state(skipping=False)
    nfa.link(_Building(nfa, first, text).add(node, start), accepting)
    if accepting in nfa.closure((start,), boundary=True):
        raise InvalidRequest("pattern", "words.pattern_empty", value=text)
    nfa.accepts[accepting] = number
    nfa.link(0, start)


class _Reader:
    """Parses one pattern."""

    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_MAX:
            raise InvalidRequest("pattern", "words.pattern_long", value=len(text), max=LENGTH_MAX)
        self._text = text
        self._at = 0

    def read(self) -> _Node:
        node = self._either(0)
        if self._at < len(self._text):
            self._fail("words.pattern_closed")
        return node

    def _fail(self, code: str, **params: str | int) -> Never:
        raise InvalidRequest("pattern", code, value=self._text, at=self._at + 1, **params)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        taken = self._text.startswith(text, self._at)
        self._at += len(text) if taken else 0
        return taken

    def _either(self, depth: int) -> _Node:
        if depth > DEPTH_MAX:
            self._fail("words.pattern_large")
        options = [self._row(depth)]
        while self._take("|"):
            options.append(self._row(depth))
        return options[0] if len(options) == 1 else _Either(tuple(options))

    def _row(self, depth: int) -> _Node:
        nodes: list[_Node] = []
        while (mark := self._peek()) and mark not in "|)":
            nodes.append(self._repeated(self._atom(depth)))
        return _Row(tuple(nodes))

    def _atom(self, depth: int) -> _Node:
        if self._take("("):
            opened = self._at
            if self._peek() == "?" and not self._take("?:"):
                self._fail("words.pattern_unknown", part=self._text[self._at : self._at + 2])
            inner = self._either(depth + 1)
            if not self._take(")"):
                self._at = opened - 1
                self._fail("words.pattern_open")
            return inner
        if self._take("["):
            return _One(self._class())
        if self._take("."):
            return _One(_ANY)
        mark = self._peek()
        if mark in "*+?{":
            self._fail("words.pattern_repeat", part=mark)
        if mark in "^$":
            self._fail("words.pattern_unknown", part=mark)
        self._at += 1
        return self._escape() if mark == "\\" else _literal(mark)

    def _escape(self) -> _Node:
        mark = self._peek()
        if not mark:
            self._fail("words.pattern_unknown", part="\\")
        self._at += 1
        if mark == "b":
            return _Boundary()
        if mark in _ESCAPES:
            return _One(_ESCAPES[mark], many=_ESCAPES[mark] is _SIGNS)
        if mark.isalnum():
            self._at -= 2
            self._fail("words.pattern_unknown", part=f"\\{mark}")
        return _literal(mark)

    def _class(self) -> SymbolSet:
        opened = self._at - 1
        negated = self._take("^")
        symbols: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes = ""
        while not self._take("]"):
            mark = self._peek()
            if not mark:
                self._at = opened
                self._fail("words.pattern_open")
            self._at += 1
            if mark == "\\":
                mark = self._peek()
                self._at += 1
                if mark in ("d", "w", "s"):
                    classes += {"d": "D", "w": "LID", "s": "SW"}[mark]
                    continue
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                low, high = mark.casefold(), self._text[self._at + 1].casefold()
                self._at += 2
                if len(low) != 1 or len(high) != 1 or low > high:
                    self._fail("words.pattern_range", part=f"{low}-{high}")
                ranges.append((low, high))
                symbols.update(
                    twin for digit in "0123456789" if low <= digit <= high
                    for twin in digit_symbols(digit)
                )  # fmt: skip
                continue
            for symbol in _folded_mark(mark):
                if class_of(symbol) in ("S", "W"):
                    classes += "SW"
                else:
                    symbols.update(spellings(symbol, stand_ins=False))
        return SymbolSet(frozenset(symbols), tuple(ranges), classes, negated)

    def _repeated(self, node: _Node) -> _Node:
        while (mark := self._peek()) and mark in "*+?{":
            self._at += 1
            low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(mark) or self._bounds()
            node = _Repeat(node, low, high)
        return node

    def _bounds(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        inner = self._text[self._at : end] if end >= 0 else "?"
        low, comma, high = inner.partition(",")
        numbers = [part for part in (low, high) if part]
        if not low or any(not (part.isascii() and part.isdecimal()) for part in numbers):
            self._fail("words.pattern_repeat", part="{")
        least = int(low) if len(low) < 9 else REPEAT_MAX + 1
        most = (int(high) if len(high) < 9 else REPEAT_MAX + 1) if high else None
        if not comma:
            most = least
        if max(least, most or 0) > REPEAT_MAX or (most is not None and most < least):
            self._fail("words.pattern_bounds", max=REPEAT_MAX)
        self._at = end + 1
        return least, most


def _folded_mark(mark: str) -> str:
    return folded_word(mark)[0]


def _literal(mark: str) -> _Node:
    nodes: list[_Node] = []
    for symbol in _folded_mark(mark):
        if class_of(symbol) in ("S", "W"):
            nodes.append(_One(_SIGNS, many=True))
        else:
            nodes.append(_One(SymbolSet(frozenset(spellings(symbol, stand_ins=False)))))
    return nodes[0] if len(nodes) == 1 else _Row(tuple(nodes))


class _Building:
    """Adds the states of one pattern, up to STATES_MAX."""

    def __init__(self, nfa: Nfa, first: int, text: str) -> None:
        self._nfa = nfa
        self._most = first + STATES_MAX
        self._text = text

    def _state(self) -> int:
        if len(self._nfa) > self._most:
            raise InvalidRequest("pattern", "words.pattern_large", value=self._text)
        return self._nfa.state()

    def add(self, node: _Node, start: int) -> int:
        """The state that is reached once `node` has matched from `start` on."""
        nfa = self._nfa
        match node:
            case _One():
                end = self._state()
                if node.of.negated or node.of.ranges or node.of.classes:
                    nfa.on_set(start, node.of, end)
                    if node.many:
                        nfa.on_set(end, node.of, end)
                else:
                    nfa.on(start, node.of.symbols, end)
                return end
            case _Boundary():
                end = self._state()
                nfa.link(start, end, boundary=True)
                return end
            case _Row():
                for each in node.nodes:
                    start = self.add(each, start)
                return start
            case _Either():
                end = self._state()
                for each in node.nodes:
                    own = self._state()
                    nfa.link(start, own)
                    nfa.link(self.add(each, own), end)
                return end
            case _Repeat():
                return self._repeat(node, start)

    def _repeat(self, node: _Repeat, start: int) -> int:
        nfa = self._nfa
        for _ in range(node.low):
            start = self.add(node.node, start)
        if node.high is None:
            again = self._state()
            nfa.link(start, again)
            nfa.link(self.add(node.node, again), again)
            return again
        end = self._state()
        nfa.link(start, end)
        for _ in range(node.high - node.low):
            start = self.add(node.node, start)
            nfa.link(start, end)
        return end
