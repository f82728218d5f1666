"""What is different between two snapshots of the catalog."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from catalog.snapshot import Catalog, Problem
from catalog.switching import EntryKind, entries_of


@dataclass(frozen=True, slots=True)
class CatalogChanges:
    """added, removed, changed: the kind and key of each entry. problems: new ones."""

    added: tuple[tuple[EntryKind, str], ...] = ()
    removed: tuple[tuple[EntryKind, str], ...] = ()
    changed: tuple[tuple[EntryKind, str], ...] = ()
    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.problems)


def changes(before: Catalog, after: Catalog) -> CatalogChanges:
    """From `before` to `after`, in the order of the entries."""
    kinds: tuple[EntryKind, ...] = get_args(EntryKind)
    known = frozenset(before.problems)
    return CatalogChanges(
        added=tuple(each for kind in kinds for each in _only_in(after, before, kind)),
        removed=tuple(each for kind in kinds for each in _only_in(before, after, kind)),
        changed=tuple(each for kind in kinds for each in _differing(before, after, kind)),
        problems=tuple(problem for problem in after.problems if problem not in known),
    )


def _only_in(one: Catalog, other: Catalog, kind: EntryKind) -> Iterator[tuple[EntryKind, str]]:
    others = entries_of(other, kind)
    return ((kind, key) for key in entries_of(one, kind) if key not in others)


def _differing(before: Catalog, after: Catalog, kind: EntryKind) -> Iterator[tuple[EntryKind, str]]:
    entries = entries_of(before, kind)
    return (
        (kind, key)
        for key, entry in entries_of(after, kind).items()
        if key in entries and entries[key] != entry
    )
