"""Upscalers: those of a catalog, and how users name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from catalog.called import called
from catalog.schema import UpscalerEntry
from catalog.search import Index
from catalog.weight_files import UpscalerFacts

UPSCALERS: Final = "upscalers"
"""The folder below `models_dir` that they are dropped into."""


@dataclass(frozen=True, slots=True, eq=False)
class Upscalers:
    """Every valid entry by key, in the order offered.

    Disabled entries are among them, and are never offered or suggested.
    facts: what their files say, by key, for those on this machine.
    unfit: why the files of others cannot be used, by key; these are not offered either.
    """

    entries: Mapping[str, UpscalerEntry] = field(default_factory=dict)
    facts: Mapping[str, UpscalerFacts] = field(default_factory=dict, repr=False)
    unfit: Mapping[str, str] = field(default_factory=dict, repr=False)
    _offered: tuple[UpscalerEntry, ...] = field(init=False, repr=False)
    _index: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        offered = tuple(e for e in self.entries.values() if e.enabled and e.key not in self.unfit)
        object.__setattr__(self, "_offered", offered)
        object.__setattr__(self, "_index", Index((e.key, e.name) for e in offered))

    def offered(self, *, nsfw: bool) -> tuple[UpscalerEntry, ...]:
        """The enabled ones, the default first. nsfw: whether to include NSFW ones."""
        return tuple(entry for entry in self._offered if nsfw or not entry.nsfw)

    def find(self, name: str) -> UpscalerEntry | None:
        """The one called `name`, ignoring case, offered or not: its key, title or file's name."""
        return called(self.entries, name)

    def search(self, text: str, *, nsfw: bool, limit: int = 25) -> tuple[UpscalerEntry, ...]:
        """The offered ones whose key or name matches `text`, best first; memory only."""
        numbers = self._index.search(text, lambda n: nsfw or not self._offered[n].nsfw, limit)
        return tuple(self._offered[n] for n in numbers)

    def nearest(self, text: str, n: int = 3, *, nsfw: bool) -> tuple[str, ...]:
        """At most `n` keys that a user who typed `text` may have meant, nearest first."""
        numbers = self._index.nearest(text, lambda i: nsfw or not self._offered[i].nsfw, n)
        return tuple(self._offered[i].key for i in numbers)
