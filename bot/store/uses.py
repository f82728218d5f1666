"""Which models and LoRAs were used, by whom and where."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from bot.store.database import Database, Row
from bot.store.jobs import FAULTS, Job

PAGE: Final = 1_000
"""Jobs that are read at once."""
_WHAT: Final = """
jobs.created_at AS at, jobs.community AS community,
iif(json_valid(request), json_extract(request, '$.model'), NULL) AS model,
iif(json_valid(request), json_extract(request, '$.adapters'), NULL) AS adapters
"""
OF_PERSON: Final = f"""
SELECT {_WHAT}, EXISTS (
    SELECT 1 FROM favourites WHERE favourites.person = jobs.person AND job_id = jobs.id
) AS favourite
FROM jobs WHERE person = ? AND created_at > ? AND kind != 'cell'
ORDER BY created_at DESC LIMIT ?
"""  # noqa: S608
OF_ALL: Final = f"""
SELECT {_WHAT}, FALSE AS favourite, started_at, jobs.rowid AS number
FROM jobs WHERE state IN ('done', 'delivered') AND (started_at, jobs.rowid) > (?, ?)
    AND started_at > ? AND created_at <= ? AND kind != 'cell'
ORDER BY started_at, jobs.rowid LIMIT ?
"""  # noqa: S608
"""The condition on started_at alone lets the index begin there."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one job used. at: when it was asked for, in milliseconds since the epoch.

    model: "" for none. adapters: keys. favourite: whether its person keeps the result.
    """

    at: int
    community: str | None
    model: str
    adapters: tuple[str, ...]
    favourite: bool = False


@dataclass(frozen=True, slots=True)
class UsePage:
    """last: where the next page begins."""

    uses: tuple[Use, ...]
    last: tuple[int, int]


def use_of(job: Job) -> Use:
    """What an accepted job uses."""
    request = job.request
    keys = dict.fromkeys(use.key for use in request.adapters)
    return Use(job.created_at, job.community, request.model, tuple(keys))


class Uses:
    """The room of the store for what was used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_person(self, person: str, since: int, most: int) -> list[Use]:
        """Of the person's latest `most` jobs since a time in ms, newest first."""
        rows = await self._database.rows(OF_PERSON, (person, since, most))
        return list(map(_use, rows))

    async def page(self, since: int, after: int, until: int) -> UsePage:
        """Of at most PAGE finished jobs that were asked for by `until`, in order of their start.

        since, after: `last` of the page before; at first the time to begin at, in ms, and 0.
        """
        rows = await self._database.rows(OF_ALL, (since, after, since - 1, until, PAGE))
        last = (rows[-1]["started_at"], rows[-1]["number"]) if rows else (since, after)
        return UsePage(tuple(map(_use, rows)), last)


def _use(row: Row) -> Use:
    model: Any = row["model"]
    return Use(
        at=row["at"],
        community=row["community"],
        model=model if isinstance(model, str) else "",
        adapters=tuple(dict.fromkeys(_adapters(row["adapters"]))),
        favourite=bool(row["favourite"]),
    )


def _adapters(text: str | None) -> Iterable[str]:
    try:
        return [str(use["key"]) for use in json.loads(text or "[]")]
    except FAULTS:
        return []
