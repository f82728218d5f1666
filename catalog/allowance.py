"""Allowance: which entries of a catalog may be used in a place, by their keys and tags."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

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


def _names(listed: frozenset[str], key: str, tags: Collection[str]) -> bool:
    return key in listed or any(f"{TAG}{tag.casefold()}" in listed for tag in tags)


EVERYTHING: Final = Allowance()
