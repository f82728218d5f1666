"""Midjourney's flags at the end of a prompt, `a fox --ar 3:2 --no snow --s 250`, and a few of ours.

A name counts as one only after a blank and two dashes. Phones make a long dash of these, which is
found in prose too: it only counts before a value of the right kind.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.errors import InvalidRequest
from bot.progress import Notice

_NAME_SHOWN: Final = 40


class Kind(StrEnum):
    """What follows a flag."""

    RATIO = "ratio"
    SEED = "seed"
    COUNT = "count"
    NUMBER = "number"
    WORD = "word"
    WORDS = "words"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Flag:
    """names: without dashes, the usual one first. option: the field of a Draft that it sets.

    instead: what to write here for one that sets none; "" if nothing corresponds to it.
    """

    names: tuple[str, ...]
    kind: Kind
    option: str = ""
    instead: str = ""


FLAGS: Final = (
    Flag(("ar", "aspect"), Kind.RATIO, "size"),
    Flag(("no",), Kind.WORDS, "negative"),
    Flag(("seed", "sameseed"), Kind.SEED, "seed"),
    Flag(("inpaint_area", "inpaint-area"), Kind.WORD, "inpaint_area"),
    Flag(("inpaint_padding", "inpaint-padding"), Kind.COUNT, "inpaint_padding"),
    Flag(("detail",), Kind.WORDS, "detail"),
    Flag(("tile",), Kind.NOTHING, "tile"),
    Flag(("q", "quality"), Kind.NUMBER, instead="steps"),
    Flag(("r", "repeat"), Kind.NUMBER, instead="count"),
    Flag(("v", "version"), Kind.WORD, instead="model"),
    Flag(("niji",), Kind.WORD, instead="model"),
    Flag(("style",), Kind.WORD, instead="lora"),
    Flag(("iw",), Kind.NUMBER, instead="strength"),
    Flag(("sref",), Kind.WORD, instead="reference"),
    Flag(("cref",), Kind.WORD, instead="reference"),
    Flag(("oref",), Kind.WORD, instead="reference"),
    Flag(("sw",), Kind.NUMBER, instead="reference_weight"),
    Flag(("cw",), Kind.NUMBER, instead="reference_weight"),
    Flag(("ow",), Kind.NUMBER, instead="reference_weight"),
    Flag(("draft",), Kind.NOTHING, instead="preset"),
    Flag(("uplight", "upbeta", "upanime"), Kind.NOTHING, instead="hires"),
    Flag(("s", "stylize"), Kind.NUMBER),
    Flag(("c", "chaos"), Kind.NUMBER),
    Flag(("w", "weird"), Kind.NUMBER),
    Flag(("p", "profile", "personalize"), Kind.WORD),
    Flag(("stop",), Kind.NUMBER),
    Flag(("exp",), Kind.NUMBER),
    Flag(("sv",), Kind.NUMBER),
    Flag(("zoom",), Kind.NUMBER),
    Flag(("motion",), Kind.WORD),
    Flag(("bs",), Kind.NUMBER),
    *(
        Flag((name,), Kind.NOTHING)
        for name in (
            *("raw", "hd", "video", "loop", "fast", "relax", "turbo", "stealth", "public"),
            *("test", "testp", "creative"),
        )
    ),
)
_BY_NAME: Final[Mapping[str, Flag]] = {name: flag for flag in FLAGS for name in flag.names}
_PLAIN_KINDS: Final = (Kind.RATIO, Kind.SEED, Kind.NUMBER)
"""Values that no word is taken for."""
_EXAMPLES: Final = {
    "size": "--ar 3:2",
    "seed": "--seed 42",
    "negative": "--no snow",
    "detail": "--detail face",
    "inpaint_area": "--inpaint_area masked",
    "inpaint_padding": "--inpaint_padding 32",
}

_MARK: Final = re.compile(
    r"(?<!\S)(?P<dashes>--|[—–])(?P<name>inpaint[_-](?:area|padding)|[A-Za-z]+)(?=[\s:=]|$)"
)
_BLANKS: Final = re.compile(r"[\s:=]*")
_VALUE: Final[Mapping[Kind, re.Pattern[str]]] = {
    Kind.RATIO: re.compile(r"(\d{1,4}(?:\.\d{1,3})?)[:/x](\d{1,4}(?:\.\d{1,3})?)(?![^\s,])"),
    Kind.SEED: re.compile(r"-1(?![^\s,])|\d{1,19}(?![^\s,])"),
    Kind.COUNT: re.compile(r"\d{1,6}(?![^\s,])"),
    Kind.NUMBER: re.compile(r"-?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})(?![^\s,])"),
    Kind.WORD: re.compile(r"(?!--|[—–])[^\s,]+"),
    Kind.WORDS: re.compile(r"\S.*", re.DOTALL),
}
_FURTHER: Final = re.compile(r"(?:[ \t]+(?:https?://\S+|\d+(?!\S)))+")
"""More addresses and codes for the same flag: `--sref 123 456`."""


@dataclass(frozen=True, slots=True)
class Flagged:
    """A prompt without its flags. options: what they set, by the names of a Draft's fields.

    flags: the one that set each option, as it is usually written. named: the others, in order.
    """

    prompt: str
    options: Mapping[str, str | int]
    flags: Mapping[str, str]
    named: tuple[Notice, ...]


def extract_flags(prompt: str) -> Flagged:
    """Take the flags out of a prompt, which is returned as it is if it has none.

    Raises InvalidRequest if one that sets an option has a value that it cannot have.
    """
    rest: list[str] = []
    options: dict[str, str | int] = {}
    flags: dict[str, str] = {}
    named: dict[str, list[str]] = {}
    marks = [*_MARK.finditer(prompt)]
    end = 0
    began = False
    for number, mark in enumerate(marks):
        until = marks[number + 1].start() if number + 1 < len(marks) else len(prompt)
        name = mark["name"].casefold()
        flag = _BY_NAME.get(name)
        start = _BLANKS.match(prompt, mark.end(), until).end()  # type: ignore[union-attr]
        value = flag and flag.kind in _VALUE and _VALUE[flag.kind].match(prompt, start, until)
        if not _is_one(mark, flag, fits=bool(value), bare=start >= until, began=began):
            continue
        began = True
        rest.append(prompt[end : mark.start()])
        end = value.end() if value else mark.end()
        said = f"--{name[:_NAME_SHOWN]}"
        if flag is None or not flag.option:
            if flag and flag.kind is Kind.WORD and (more := _FURTHER.match(prompt, end, until)):
                end = more.end()
            named.setdefault(flag.instead if flag else "", []).append(said)
            continue
        if flag.kind is Kind.NOTHING:
            flags[flag.option], options[flag.option] = said, True
            continue
        if not value:
            example = _EXAMPLES[flag.option]
            raise InvalidRequest("prompt", "dialect.flag.value", flag=said, example=example)
        flags[flag.option] = said
        _set(options, flag, value)
    if not began:
        return Flagged(prompt, {}, {}, ())
    rest.append(prompt[end:])
    words = " ".join(filter(None, (part.strip() for part in rest)))
    return Flagged(words, options, flags, tuple(map(_notice, named, named.values())))


def _is_one(mark: re.Match[str], flag: Flag | None, *, fits: bool, bare: bool, began: bool) -> bool:
    """Whether it is a flag and no prose; after the first one everything with two dashes is.

    fits: whether a value of its kind follows. bare: whether nothing does.
    """
    doubled = mark["dashes"] == "--"
    if flag is None:
        return began and doubled
    if flag.kind is Kind.NOTHING:
        return began or doubled
    if doubled:
        return fits or len(mark["name"]) > 1 or (bare and flag.kind is Kind.WORD)
    return fits and (began or flag.kind in _PLAIN_KINDS)


def _set(options: dict[str, str | int], flag: Flag, value: re.Match[str]) -> None:
    match flag.kind:
        case Kind.RATIO:
            options[flag.option] = _ratio(value[1], value[2])
        case Kind.SEED | Kind.COUNT:
            options[flag.option] = int(value[0])
        case _:
            words = value[0].strip().strip(",").strip()
            before = options.get(flag.option)
            options[flag.option] = f"{before}, {words}" if before else words


def _ratio(across: str, down: str) -> str:
    """In whole numbers, as few digits as possible: `1.91:1` is 191:100."""
    sides = [round(float(side) * 1000) for side in (across, down)]
    shared = math.gcd(*sides) or 1
    return ":".join(str(side // shared) for side in sides)


def _notice(instead: str, flags: Sequence[str]) -> Notice:
    shown = ", ".join(dict.fromkeys(flags))
    if instead:
        return Notice("dialect.flag.instead", {"flags": shown, "option": instead})
    return Notice("dialect.flag.nothing", {"flags": shown})
