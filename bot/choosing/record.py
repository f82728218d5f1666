"""What one person has used, in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from bot.choosing.ranking import ADAPTER, MODEL, Kind, Used
from bot.store.uses import Use

KEYS_MAX: Final = 200
"""Entries of each kind that are remembered of a person; those not used for longest are dropped."""
FAVOURITE: Final = 3
"""A result that its person keeps as a favourite counts as so many."""


@dataclass(slots=True)
class Record:
    """models, adapters: by key."""

    models: dict[str, Used] = field(default_factory=dict)
    adapters: dict[str, Used] = field(default_factory=dict)

    @classmethod
    def of(cls, uses: Iterable[Use]) -> "Record":
        """uses: in any order."""
        record = cls()
        for use in uses:
            record.add(use)
        return record

    def add(self, use: Use) -> None:
        """Count one more job."""
        weight = FAVOURITE if use.favourite else 1
        if use.model:
            _count(self.models, use.model, weight, use.at)
        for key in use.adapters:
            _count(self.adapters, key, weight, use.at)

    def used(self, kind: Kind) -> Iterable[Used]:
        """What is known of entries of that kind."""
        return {MODEL: self.models, ADAPTER: self.adapters}[kind].values()


def _count(known: dict[str, Used], key: str, weight: int, at: int) -> None:
    before = known.get(key, Used(key, 0, at))
    known[key] = Used(key, before.count + weight, max(before.last, at))
    if len(known) > KEYS_MAX:
        del known[min(known, key=lambda other: known[other].last)]
