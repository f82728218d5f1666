"""Words: what the index holds of a text, and what is looked for in it.

Each word in the index begins with its person. So a search reads nothing of anybody else, however
common its words are, and the words that begin with some letters are that person's own.

Texts are split and folded here, not by SQLite, which gets plain words with spaces between them:

- Accents and case do not count, nor do widths and ligatures.
- Scripts that are written without spaces are split into single characters, and what is looked for
  becomes a phrase of them. That finds any part of a text. SQLite's own trigrams would find nothing
  shorter than three characters, and most Chinese and Japanese words have one or two.
- The result is the same with every version of SQLite, because a word is removed from the index by
  giving it once more, and one that is not exactly the same would stay.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from bot.request import GenerationRequest

FORMAT: Final = f"1 {unicodedata.unidata_version}"
"""Changes with the words of a text. An index of another format is made anew."""
WORD_MAX: Final = 64
PREFIX_MIN: Final = 2
"""Letters that stand for all words that begin with them; a single one only for itself."""
BETWEEN: Final = "."
"""Stands between two texts, so that no phrase goes across."""
PIECES_MAX: Final = 12
"""Words and phrases of a search, at most."""
Columns = tuple[str, str, str]
"""A row of the index: the words of prompts, those of negative prompts, and tags."""

_ASCII: Final = re.compile("[a-z0-9]+")
_PIECE: Final = re.compile(r'"([^"]*)"|(\S+)')
_WITHOUT_SPACES: Final = re.compile(
    "[\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7af"
    "\u0e01-\u0e5b\u0e81-\u0edf\u1000-\u109f\u1780-\u17dd]"
)
"""Kana, Han, Hangul, Thai, Lao, Burmese and Khmer."""


def words(text: str) -> list[str]:
    """The words of `text` in their order, folded; characters of some scripts are words."""
    if text.isascii():
        return [word[:WORD_MAX] for word in _ASCII.findall(text.lower())]
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return [word[:WORD_MAX] for word in _split(folded)]


def _split(folded: str) -> Iterator[str]:
    word = ""
    for character in folded:
        if _WITHOUT_SPACES.match(character):
            if word:
                yield word
            yield character
            word = ""
            continue
        for part in unicodedata.normalize("NFD", character):
            if part.isalnum():
                word += part
            elif word and unicodedata.category(part) != "Mn":
                yield word
                word = ""
    if word:
        yield word


def columns(person: str, kind: str, request: GenerationRequest) -> Columns:
    """The row of a job."""
    every = [request, *(each for each in request.each if each is not request)]
    prompts = [each.prompt for one in every for each in one.prompts]
    negatives = [each.negative for one in every for each in one.prompts]
    for one in every:
        if one.template is not None:
            prompts += [one.template.prompt or ""]
            negatives += [one.template.negative or ""]
    models = [one.made_with for one in every]
    loras = [use.key for one in every for use in one.adapters]
    tags = ["", tag("kind", kind), *(tag("model", key) for key in dict.fromkeys(models))]
    tags += [tag("lora", key) for key in dict.fromkeys(loras)]
    return _row(person, _words_of(prompts)), _row(person, _words_of(negatives)), _row(person, tags)


def tag(name: str, value: str) -> str:
    """What stands for a property of a job; no word looks like it."""
    return f"={name}={quote(value, safe='')}"


def own(person: str, word: str) -> str:
    """`word` as it is in the index."""
    return f"{quote(person, safe=':')}_{word}"


def _words_of(texts: Iterable[str]) -> list[str]:
    found: list[str] = []
    for text in dict.fromkeys(filter(None, texts)):
        found += [BETWEEN, *words(text)] if found else words(text)
    return found


def _row(person: str, every: Iterable[str]) -> str:
    return " ".join(own(person, word) for word in every)


def pieces(text: str) -> list[list[str]]:
    """What a person looks for, each once: words, and phrases of several, all to be found.

    Quotes keep words together; so does what is written without a space between.
    """
    found = [words(quoted or single) for quoted, single in _PIECE.findall(text)]
    return [list(piece) for piece in dict.fromkeys(map(tuple, found)) if piece]


def is_prefix(piece: list[str]) -> bool:
    """Whether it stands for all words that begin with it."""
    return len(piece) == 1 and len(piece[0]) >= PREFIX_MIN


def phrase(person: str, piece: list[str]) -> str:
    """In the syntax of FTS5, of which nothing in `piece` is a part."""
    return '"' + " ".join(own(person, word) for word in piece) + '"'
