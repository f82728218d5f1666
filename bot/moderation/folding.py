"""Folding: a text as the symbols that blocked words are looked for in.

A symbol is one character: a letter without case or marks; a digit; WEAK for blanks, commas and
line breaks; or STRONG for anything else that is seen, brackets, dots and emoji among them. What is
not seen is left out. A digit in a number is another symbol than one among letters, which may stand
for a letter.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

STRONG: Final = "-"
WEAK: Final = " "
TALL: Final = "\ua7fe"
"""A capital I and what looks like it: an i or an l. A letter that no one writes."""
_NUMBERS: Final = 0xE000
STAND_INS: Final = {
    "a": "4@", "b": "8", "e": "3", "g": "69", "i": "1!" + TALL, "l": "1" + TALL,
    "o": "0", "s": "5$", "t": "7", "z": "2",
}  # fmt: skip
"""What people write for a letter, by letter."""

SymbolClass: TypeAlias = Literal["L", "I", "D", "S", "W"]
"""L: letter. I: letter of a script without blanks between words. D: digit. S: STRONG and signs
that may stand for a letter. W: WEAK, and where a text begins and ends."""

_SIGNS: Final = "@$!"
_WEAK_SIGNS: Final = frozenset(",;，、؛،")
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSPACED_LETTER: Final = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_UNSPACED: Final = re.compile(_UNSPACED_LETTER)
_ALONE: Final = re.compile(rf"(?<![^\W_]){_UNSPACED_LETTER}(?:\s+{_UNSPACED_LETTER}(?![^\W_]))+")
_GENERIC_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u1ab0-\u1aff"
    "\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]"
)
_TAG: Final = re.compile(r"<[^<>]*>")
_NUMBER_AT_END: Final = re.compile(r":\s*+[+-]?[\d.]++\s*+(?=[)\]])")
_PASSES: Final = re.compile(r"(?<!\s)\s*+\b(?:BREAK|AND)\b\s*+")
_WORD: Final = re.compile(r"[^\W_]+")
# One letter and a number are the name of a lens or a car rather than a word.
_NAME: Final = re.compile(r"(?<![^\W_])[^\W\d_][0-9]{2,}(?![^\W_])")
# A comma between letters, as hardly anyone writes it.
_COMMA: Final = re.compile(f"(?<=[^\\W_])[{''.join(sorted(_WEAK_SIGNS))}](?=[^\\W_])")
_DIGIT: Final = re.compile("[0-9]")
_WORDLIKE: Final = 2
"""So many letters without a blank make a digit among them one that may stand for a letter."""
_RUN: Final = re.compile(r"[^\s,;]+")
_IN_NUMBERS: Final = {ord("0") + digit: chr(_NUMBERS + digit) for digit in range(10)}

# Letters that look the same in Latin and in another script, small and in that script's alphabet.
_CYRILLIC: Final = str.maketrans("aceopxykmthbijs" + TALL, "асеорхукмтнвіјѕі")
_GREEK: Final = str.maketrans("aoviktpuxyzbhemn" + TALL, "αονικτρυχγζβηεμνι")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way of reading a text.

    bare: without the prompt syntax. latin: each letter as the Latin one that it looks like.
    """

    bare: bool
    latin: bool

    def symbols(self, text: str, *, begins: bool, ends: bool) -> str:
        """The symbols of a part of a text. Takes time linear in its length.

        begins, ends: whether nothing comes before and after it.
        """
        return self.of(_seen(text), begins=begins, ends=ends)

    def of(self, seen: str, *, begins: bool = True, ends: bool = True) -> str:
        """The same of a text without what is not seen."""
        text = _without_syntax(seen) if self.bare else seen
        lower = _latin(text) if self.latin else _in_one_script(_lowered(text))
        return _symbols(lower, begins=begins, ends=ends)


READINGS: Final = tuple(Reading(bare, latin) for latin in (False, True) for bare in (False, True))


def folded(text: str) -> tuple[str, ...]:
    """The symbols of `text`, in each way of reading it, each once."""
    seen = _seen(text)
    readings = READINGS[:2] if seen.isascii() else READINGS
    return tuple(dict.fromkeys(reading.of(seen) for reading in readings))


def folded_word(text: str) -> tuple[str, ...]:
    """How a word to look for is read: as itself, and, if it is Latin, without its letters' strokes
    and the like."""
    bare = _seen(text)
    plain = bare.casefold()
    readings = {_symbols(plain): None}
    if all("LATIN" in unicodedata.name(c, "") for c in bare if c.isalpha()):
        readings.setdefault(_symbols("".join(map(_look, bare))))
    return tuple(readings)


@lru_cache(maxsize=4096)
def class_of(symbol: str) -> SymbolClass:
    """The class of a symbol of `folded`."""
    if symbol == WEAK:
        return "W"
    if symbol in "0123456789" or _NUMBERS <= ord(symbol) < _NUMBERS + 10:
        return "D"
    if symbol == STRONG or symbol in _SIGNS:
        return "S"
    return "I" if _UNSPACED.match(symbol) else "L"


def digit_symbols(digit: str) -> str:
    """The symbols of an ASCII digit: among letters, and in a number."""
    return digit + chr(_NUMBERS + int(digit))


def _seen(text: str) -> str:
    """Without what is not seen, compatible forms as the letters that they are."""
    return text if text.isascii() else _bare(unicodedata.normalize("NFKC", text))


def _bare(text: str) -> str:
    """Letters without marks, and nothing that is not seen."""
    kept: list[str] = []
    base = ""
    for mark in unicodedata.normalize("NFKD", text):
        if mark.isascii():
            if mark >= " " or mark in "\n\t":
                kept.append(mark)
                base = mark
            continue
        category = unicodedata.category(mark)
        if category in ("Cf", "Cc", "Cs") or mark in _BLANKS:
            continue
        if category.startswith("M"):
            # On letters of scripts without cases, a mark may be the vowel.
            cased = base.isascii() or base.lower() != base.upper()
            if cased or _GENERIC_MARKS.match(mark):
                continue
        else:
            base = mark
        kept.append(mark)
    return unicodedata.normalize("NFC", "".join(kept))


def _without_syntax(text: str) -> str:
    """`text` with what stands for no words taken out: tags, weights, and what joins passes."""
    text = _TAG.sub(STRONG, text)
    text = _NUMBER_AT_END.sub(STRONG, text)
    return _PASSES.sub(STRONG, text)


def _lowered(text: str) -> str:
    return text.replace("I", TALL).casefold()


@cache
def _looks() -> dict[str, str]:
    text = files(__package__).joinpath("lookalikes.txt").read_text(encoding="utf-8")
    looks: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            letter, _, marks = line.partition(" ")
            tall = letter == "l"
            looks |= dict.fromkeys(marks, letter)
            looks |= {mark: TALL for mark in marks if tall and mark.lower() != mark}
    return looks


def _look(letter: str) -> str:
    return _looks().get(letter) or letter.casefold()


def _latin(text: str) -> str:
    looks = _looks()
    return "".join(looks.get(c) or (TALL if c == "I" else c.casefold()) for c in text)


def _in_one_script(text: str) -> str:
    """`text`, lower case, with the Latin letters in a word of another script as that script's."""
    if text.isascii():
        return text
    return _WORD.sub(_as_its_script, text)


def _as_its_script(word: re.Match[str]) -> str:
    text = word[0]
    if text.isascii():
        return text
    if any("\u0400" <= c <= "\u052f" for c in text):
        return text.translate(_CYRILLIC)
    return text.translate(_GREEK) if any("\u0370" <= c <= "\u03ff" for c in text) else text


def _symbols(text: str, *, begins: bool = True, ends: bool = True) -> str:
    """begins, ends: whether nothing comes before and after it."""

    def numbered(run: re.Match[str]) -> str:
        whole = (begins or run.start() > 0) and (ends or run.end() < len(text))
        if not whole or sum(map(str.isalpha, run[0])) >= _WORDLIKE:
            return run[0]
        return run[0].translate(_IN_NUMBERS)

    if _DIGIT.search(text):
        text = _RUN.sub(numbered, _NAME.sub(lambda name: name[0].translate(_IN_NUMBERS), text))
    text = _COMMA.sub(STRONG, text)
    if not text.isascii():
        text = _spelt_out(text)
    return text.translate(_SYMBOLS)


def _spelt_out(text: str) -> str:
    """`text` without the blanks between letters that stand alone, of scripts that have none."""
    return _ALONE.sub(lambda letters: "".join(letters[0].split()), text)


class _Symbols(dict[int, str]):
    """The symbol of each character, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = symbol = _symbol_of(chr(code))
        return symbol


def _symbol_of(mark: str) -> str:
    if mark.isalpha() or mark in _SIGNS or _NUMBERS <= ord(mark) < _NUMBERS + 10:
        return mark
    if mark.isspace() or mark in _WEAK_SIGNS:
        return WEAK
    value = unicodedata.digit(mark, None)
    if value is not None:
        return str(value)
    # Vowels of some scripts are marks.
    return mark if unicodedata.category(mark).startswith("M") else STRONG


_SYMBOLS: Final = _Symbols()
