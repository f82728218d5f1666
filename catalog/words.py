"""Find names that stand in a text as whole words; linear in the text."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Meaning = TypeVar("Meaning")

_PIECE: Final = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Hit(Generic[Meaning]):
    """A name at `start` to `end` of the text, and what it means."""

    start: int
    end: int
    meaning: Meaning


class Words(Generic[Meaning]):
    """Names, which may consist of several words, and what each means; case does not matter."""

    def __init__(self, names: Iterable[tuple[str, Meaning]] = ()) -> None:
        """names: of two that are equal, the first counts."""
        self._by_piece: dict[str, dict[int, dict[str, Meaning]]] = {}
        for name, meaning in names:
            plain = name.strip().casefold()
            if piece := _PIECE.match(plain):
                by_length = self._by_piece.setdefault(piece[0], {})
                by_length.setdefault(len(plain), {}).setdefault(plain, meaning)
        for first, by_length in self._by_piece.items():
            self._by_piece[first] = dict(sorted(by_length.items(), reverse=True))

    def __bool__(self) -> bool:
        return bool(self._by_piece)

    def find(
        self, text: str, accept: Callable[[Meaning], bool] = lambda _: True
    ) -> Iterator[Hit[Meaning]]:
        """The names in `text` from left to right, the longest at each place, none overlapping.

        accept: whether a name counts, by its meaning.
        """
        if not self._by_piece:
            return
        end = 0
        for piece in _PIECE.finditer(text):
            if piece.start() >= end and (hit := self._here(text, piece, accept)):
                end = hit.end
                yield hit

    def at(
        self, text: str, start: int, accept: Callable[[Meaning], bool] = lambda _: True
    ) -> Hit[Meaning] | None:
        """The longest name that begins at `start`."""
        piece = _PIECE.match(text, start)
        return self._here(text, piece, accept) if piece else None

    def _here(
        self, text: str, piece: re.Match[str], accept: Callable[[Meaning], bool]
    ) -> Hit[Meaning] | None:
        start = piece.start()
        for length, names in self._by_piece.get(piece[0].casefold(), {}).items():
            end = start + length
            name = text[start:end].casefold()
            known = name in names and not _inside_a_word(text, end)
            if known and accept(names[name]):
                return Hit(start, end, names[name])
        return None


def _inside_a_word(text: str, place: int) -> bool:
    """Whether a word goes on across `place`."""
    return 0 < place < len(text) and all(
        c.isalnum() or c == "_" for c in text[place - 1 : place + 1]
    )
