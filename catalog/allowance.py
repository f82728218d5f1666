"""Allowance: which entries of a catalog may be used in a place, by their keys and tags."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

TAG: Final = "#"
"""What a tag in a list begins with; anything else is a key."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Lists of keys, and of tags as `#tag`, without case.

    allow: an entry must be in every one of these lists. block: it must not be in this one.
    """

    allow: tuple[frozenset[str], ...] = ()
    block: frozenset[str] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether it excludes nothing."""
        return not self.allow and not self.block

    def holds(self, key: str, tags: Collection[str]) -> bool:
        """Whether the entry with that key and these tags may be used."""
        return not _names(self.block, key, tags) and all(
            _names(allowed, key, tags) for allowed in self.allow
        )

    def left_of(
        self, entries: Mapping[str, T], tagged: Mapping[str, frozenset[str]]
    ) -> dict[str, T]:
        """Those of `entries`, by key, that may be used. tagged: see `by_tag`. For thousands of
        entries, it takes a fraction of asking `holds` for each."""
        blocked = _listed(self.block, tagged)
        kept = entries.keys() - blocked
        for allowed in self.allow:
            kept &= _listed(allowed, tagged)
        return {key: entry for key, entry in entries.items() if key in kept}


def by_tag(tags: Iterable[tuple[str, Collection[str]]]) -> dict[str, frozenset[str]]:
    """The keys that have each tag, which is written as in a list. tags: of each key."""
    found: dict[str, set[str]] = defaultdict(set)
    for key, own in tags:
        for tag in own:
            found[f"{TAG}{tag.casefold()}"].add(key)
    return {tag: frozenset(keys) for tag, keys in found.items()}


def _listed(listed: frozenset[str], tagged: Mapping[str, frozenset[str]]) -> set[str]:
    """The keys in a list, and those with a tag in it."""
    return set(listed).union(*(tagged.get(name, ()) for name in listed))


def _names(listed: frozenset[str], key: str, tags: Collection[str]) -> bool:
    return key in listed or any(f"{TAG}{tag.casefold()}" in listed for tag in tags)


EVERYTHING: Final = Allowance()
