"""Everything that is stored of a person: counted, exported, forgotten."""

from collections.abc import AsyncIterator

from bot.store.acts import Acts
from bot.store.database import Database
from bot.store.personal.columns import COLUMNS
from bot.store.personal.forgetting import (
    Answer,
    Erasable,
    Forgetting,
    Forgettings,
    Removable,
)
from bot.store.personal.holdings import Holdings, holdings
from bot.store.personal.rows import JobRows, Record, jobs_of, rest_of
from bot.store.personal.span import Span
from bot.store.usage import Spent

__all__ = [
    "COLUMNS",
    "Answer",
    "Erasable",
    "Forgetting",
    "Forgettings",
    "Holdings",
    "JobRows",
    "Personal",
    "Record",
    "Removable",
    "Span",
]


class Personal:
    """What the database has of single people. forgettings: what they asked to have forgotten."""

    def __init__(self, database: Database, spent: Spent, acts: Acts) -> None:
        """spent: learns what still counts towards limits. acts: tells of reports that are gone."""
        self._database = database
        self.forgettings = Forgettings(database, spent, acts)

    async def holdings(self, person: str, span: Span) -> Holdings:
        """How much is stored of `person`."""
        return await holdings(self._database, person, span)

    def jobs(self, person: str, span: Span) -> AsyncIterator[list[JobRows]]:
        """The jobs of `person`, latest first, a page at a time."""
        return jobs_of(self._database, person, span)

    async def rest(self, person: str, span: Span) -> dict[str, list[Record]]:
        """What else is stored of `person`, by table."""
        return await rest_of(self._database, person, span)
