"""Figures: what was asked for in a time, by a person or in a server."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bot.store.database import Database, Row

PART: Final = 2_000
"""Jobs that are read at once: other readers wait meanwhile."""
DAY_MS: Final = 24 * 60 * 60 * 1000

_PART: Final = """
SELECT jobs.rowid AS place, created_at, state, kind, request, started_at, finished_at,
       (SELECT count(*) FROM images WHERE job_id = jobs.id) AS images
FROM jobs WHERE {whose} = :whose AND created_at >= :since AND created_at < :until
  AND (created_at, jobs.rowid) > (:at, :place)
ORDER BY created_at, jobs.rowid LIMIT :size
"""
_OF_PERSON: Final = _PART.format(whose="person")
_OF_COMMUNITY: Final = _PART.format(whose="community IS NOT NULL AND community")


@dataclass(slots=True)
class Tally:
    """Counted jobs. days: images by the day, from 0 for the first. models, loras: jobs by catalog
    key. waits: jobs by the whole seconds until they began. ended: jobs by how they ended:
    delivered, failed, cancelled."""

    days: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    loras: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    waits: Counter[int] = field(default_factory=Counter)
    images: int = 0
    jobs: int = 0

    def add(self, rows: Sequence[Row], since: int) -> None:
        """since: the beginning of the first day."""
        for row in rows:
            if row["kind"] == "cell":
                continue  # counted with its comparison
            self.jobs += 1
            self.ended["delivered" if row["state"] == "done" else row["state"]] += 1
            if row["started_at"] is not None:
                self.waits[max(0, round((row["started_at"] - row["created_at"]) / 1000))] += 1
            if row["state"] not in ("done", "delivered"):
                continue
            asked = _read(row["request"])
            images = row["images"]
            if asked.get("comparison") and images:
                images -= 1  # the sheet
            self.images += images
            self.days[(row["created_at"] - since) // DAY_MS] += images
            self._add_names(asked)

    def waited(self, share: float) -> int | None:
        """The seconds within which this share of the jobs began; None if none did. Sorts."""
        left = share * self.waits.total()
        for seconds, jobs in sorted(self.waits.items()):
            left -= jobs
            if left <= 0:
                return seconds
        return None

    def _add_names(self, asked: dict[str, Any]) -> None:
        try:
            if asked["model"] or asked.get("upscale"):  # not a map alone
                self.models[str(asked["model"] or asked["upscale"]["upscaler"])] += 1
            self.loras.update({str(use["key"]) for use in asked["adapters"]})
        except (TypeError, LookupError):
            return  # reported by whoever reads the job itself


def _read(request: str) -> dict[str, Any]:
    try:
        asked = json.loads(request)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


class Figures:
    """Counts jobs a part at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person: str, since: int, until: int) -> Tally:
        """since, until: in milliseconds since the epoch."""
        return await self._tally(_OF_PERSON, person, since, until)

    async def of_community(self, community: str, since: int, until: int) -> Tally:
        return await self._tally(_OF_COMMUNITY, community, since, until)

    async def _tally(self, sql: str, whose: str, since: int, until: int) -> Tally:
        tally, at, place = Tally(), since, 0
        while True:
            rows = await self._database.rows(
                sql,
                {
                    "whose": whose,
                    "since": since,
                    "until": until,
                    "at": at,
                    "place": place,
                    "size": PART,
                },
            )
            if not rows:
                return tally
            await asyncio.to_thread(tally.add, rows, since)
            at, place = rows[-1]["created_at"], rows[-1]["place"]
