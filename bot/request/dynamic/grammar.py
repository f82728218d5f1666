"""Split a prompt into literal text, choices and wildcards, in one pass.

Every brace has to belong to a choice or be escaped: what is no form is refused, with what to write
instead. Any other text is literal.
"""

import re
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, TypeAlias

from bot.errors import InvalidRequest
from catalog.wildcard_index import NAME, WEIGHT_MAX, WEIGHT_UNIT, looks_weighted, weight_at

DEPTH_MAX: Final = 10
"""How deep choices may nest, wildcard files included."""
PICKS_MAX: Final = 20
"""How many alternatives one choice may draw."""
SEPARATOR: Final = ", "
_SHOWN: Final = 40

_PIECE: Final = re.compile(
    rf"""\\(?P<escaped>__|[{{}}|]|\$(?=[{{$]))
    |   (?P<kept>\\[^_{{}}|$]?)
    |   (?P<variable>\$\{{)
    |   (?P<brace>[{{}}|])
    |   __(?P<wildcard>{NAME})__
    |   (?P<words>[^\\{{}}|$_]+ | .)""",
    re.VERBOSE | re.DOTALL,
)
_BOUNDS: Final = re.compile(r"\s*+(?:([0-9]{1,9}+)|([0-9]{0,9}+)\s*+-\s*+([0-9]{0,9}+))\s*+\$\$")
_SEPARATOR: Final = re.compile(r"((?:(?!\$\$)[^{}|])*)\$\$")
_SAMPLERS: Final = ("@", "~")
_TO_ESCAPE: Final = re.compile(r"\\.|__|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Literal:
    """Words. text: unescaped. source: as typed."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`__pattern__`. glued: it follows a letter, as in a file name, and is a word unless there is
    such a wildcard."""

    pattern: str
    source: str
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One alternative. weight: relative, in millionths."""

    parts: "Parts"
    weight: int = WEIGHT_UNIT


@dataclass(frozen=True, slots=True)
class Choice:
    """`{…|…}`: from `low` to `high` of the options, each at most once, joined by `separator`.

    high: None for all of them, up to PICKS_MAX. A single option is a wildcard, whose values are the
        options.
    """

    options: tuple[Option, ...]
    source: str
    low: int = 1
    high: int | None = 1
    separator: str = SEPARATOR


Part: TypeAlias = Literal | Wildcard | Choice
Parts: TypeAlias = tuple[Part, ...]


@dataclass(slots=True)
class _Open:
    """A choice, or the whole text, as far as it has been read. start: of its `{`."""

    start: int
    parts: list[Part] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    weight: int = WEIGHT_UNIT
    low: int = 1
    high: int | None = 1
    separator: str = SEPARATOR


def is_dynamic(parts: Parts) -> bool:
    """Whether anything is drawn, or unescaped."""
    return any(not isinstance(part, Literal) or part.text != part.source for part in parts)


def parse(text: str, name: str = "prompt") -> Parts:
    """The parts of `text`; their sources joined are `text`. Takes time linear in its length.

    name: of the field, for errors. Raises InvalidRequest: dynamic.*
    """
    stack = [_Open(-1)]
    position = 0
    while piece := _PIECE.match(text, position):
        here, position = stack[-1], piece.end()
        if piece["variable"]:
            raise InvalidRequest(name, "dynamic.variable", value=_shown(text, piece.start()))
        if piece["brace"] == "{":
            if len(stack) > DEPTH_MAX:
                raise InvalidRequest(name, "dynamic.deep", max=DEPTH_MAX)
            opened, position = _opened(text, piece.start(), name)
            stack.append(opened)
        elif piece["brace"] == "}":
            if len(stack) == 1:
                raise InvalidRequest(name, "dynamic.closed", value=_before(text, position))
            stack.pop()
            _end_option(here)
            choice = _closed(here, text[here.start : position], name)
            stack[-1].parts.append(choice)
        elif piece["brace"] and len(stack) > 1:
            _end_option(here)
            here.weight, position = _weighed(text, position, name)
        elif piece["wildcard"]:
            before = text[piece.start() - 1 : piece.start()]
            after_words = not here.parts or isinstance(here.parts[-1], Literal)
            glued = after_words and (before.isalnum() or before == "_")
            here.parts.append(Wildcard(piece["wildcard"], piece[0], glued))
        elif piece[0] == "$" and len(stack) > 1 and text.startswith("$", position):
            raise InvalidRequest(name, "dynamic.bounds", value=_shown(text, here.start))
        else:
            # Outside of braces these mean nothing, so nothing has to be escaped.
            alone = piece[0] == r"\|" or (piece[0] == r"\$" and text.startswith("$", position))
            bare = alone and len(stack) == 1
            words = piece[0] if bare else piece["escaped"] or piece[0]
            here.parts.append(Literal(words, piece[0]))
    if len(stack) > 1:
        raise InvalidRequest(name, "dynamic.open", value=_shown(text, stack[-1].start))
    return _merged(stack[0].parts)


def only_wildcard(option: Option) -> Wildcard | None:
    """The wildcard that is all of an option, blanks aside."""
    parts = [p for p in option.parts if not (isinstance(p, Literal) and not p.text.strip())]
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Wildcard) else None


def escaped(text: str) -> str:
    """What to type to get `text` itself, whatever it contains; most texts are as they are."""
    try:
        if not is_dynamic(parse(text)):
            return text
    except InvalidRequest:
        pass
    # A character that is escaped already stays so.
    return _TO_ESCAPE.sub(lambda m: m[0] if m[0][0] == "\\" else f"\\{m[0]}", text)


def _opened(text: str, start: int, name: str) -> tuple[_Open, int]:
    """A choice that begins at `start`, and where its first option does."""
    here, position = _Open(start), start + 1
    if text[position : position + 1] in _SAMPLERS:
        raise InvalidRequest(name, "dynamic.sampler", value=_shown(text, start))
    if bounds := _BOUNDS.match(text, position):
        exact, low, high = bounds.groups()
        here.low = int(exact or low or 1)
        here.high = int(exact or high) if exact or high else None
        position = bounds.end()
        if here.low > (here.low if here.high is None else here.high):
            raise InvalidRequest(name, "dynamic.bounds", value=_shown(text, start))
        if max(here.low, here.high or 0) > PICKS_MAX:
            value = max(here.low, here.high or 0)
            raise InvalidRequest(name, "dynamic.picks", value=value, max=PICKS_MAX)
        if separator := _SEPARATOR.match(text, position):
            here.separator, position = separator[1], separator.end()
    here.weight, position = _weighed(text, position, name)
    return here, position


def _weighed(text: str, position: int, name: str) -> tuple[int, int]:
    """The weight of the option that begins there, and where its text does."""
    if weighed := weight_at(text, position):
        return weighed
    if odd := looks_weighted(text, position):
        raise InvalidRequest(name, "dynamic.weight", value=odd[:_SHOWN], max=WEIGHT_MAX)
    return WEIGHT_UNIT, position


def _end_option(here: _Open) -> None:
    here.options.append(Option(_merged(here.parts), here.weight))
    here.parts = []


def _closed(here: _Open, source: str, name: str) -> Choice:
    options = tuple(here.options)
    if len(options) == 1 and only_wildcard(options[0]) is None:
        value = source if len(source) <= _SHOWN else f"{source[: _SHOWN - 1]}…"
        inside = source[1:-1].strip("{} ")[:_SHOWN] or "…"
        raise InvalidRequest(name, "dynamic.single", value=value, inside=inside)
    possible = sum(1 for option in options if option.weight)
    most = max(here.low, here.high or 0)
    if len(options) > 1 and most > possible:
        raise InvalidRequest(name, "dynamic.few", value=most, count=possible)
    return Choice(options, source, here.low, here.high, here.separator)


def _merged(parts: list[Part]) -> Parts:
    """`parts` with each run of literal text as one."""
    merged: list[Part] = []
    for literal, run in groupby(parts, lambda part: isinstance(part, Literal)):
        if literal:
            pieces = [part for part in run if isinstance(part, Literal)]
            text = "".join(piece.text for piece in pieces)
            merged.append(Literal(text, "".join(piece.source for piece in pieces)))
        else:
            merged += run
    return tuple(merged)


def _shown(text: str, start: int) -> str:
    part = text[start : start + _SHOWN]
    return part if start + _SHOWN >= len(text) else f"{part}…"


def _before(text: str, end: int) -> str:
    part = text[max(0, end - _SHOWN) : end]
    return part if end <= _SHOWN else f"…{part}"
