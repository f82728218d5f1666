"""Styles: those of a catalog, and how users name them."""

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final

from catalog.schema import StyleEntry
from catalog.search import Index, fold


class Styles:
    """The enabled styles by key, in the order offered; immutable.

    Whether one may be used where somebody is, depends on what it names as well; see
    bot.request.options.
    """

    def __init__(self, entries: Iterable[StyleEntry] = ()) -> None:
        """entries: with keys and names that differ in more than case, accents and separators."""
        self.entries: Final = MappingProxyType({e.key: e for e in entries if e.enabled})
        self._offered = tuple(self.entries.values())
        names: dict[str, StyleEntry] = {}
        for entry in self._offered:
            for name in (entry.key, entry.name):
                names.setdefault(fold(name), entry)
        self._names = names
        self._index = Index((entry.key, entry.name) for entry in self._offered)

    def find(self, name: str) -> StyleEntry | None:
        """The one of that key or name, whatever its case and accents."""
        return self._names.get(fold(name))

    def search(
        self, text: str, accept: Callable[[StyleEntry], bool], limit: int = 25
    ) -> tuple[StyleEntry, ...]:
        """Those that match `text` and are accepted, best first; memory only."""
        numbers = self._index.search(text, lambda n: accept(self._offered[n]), limit)
        return tuple(self._offered[n] for n in numbers)

    def nearest(
        self, text: str, accept: Callable[[StyleEntry], bool], limit: int = 3
    ) -> tuple[str, ...]:
        """At most `limit` keys that a user who typed `text` may have meant, nearest first."""
        numbers = self._index.nearest(text, lambda n: accept(self._offered[n]), limit)
        return tuple(self._offered[n].key for n in numbers)
