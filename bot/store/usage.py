"""How much one person, their server and everyone has asked for: the input of the queue's limits."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.store.database import Row

DAY = 24 * 60 * 60

Rows = Callable[[str, Sequence[Any]], Awaitable[Iterable[Row]]]
"""Runs one query, on the reader or within a transaction."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person has asked for so far; times are seconds since the epoch.

    asked_at: of their last request in 24 hours that counts; None without one.
    images: one time for each image that they asked for in 24 hours and that counts, oldest first.
    own, in_community, in_all: pending and running jobs.
    """

    asked_at: float | None = None
    images: tuple[float, ...] = ()
    own: int = 0
    in_community: int = 0
    in_all: int = 0


async def usage_of(
    rows: Rows, person: str, community: str | None, origins: tuple[str, ...], now: int
) -> Usage:
    """The usage of `person` at `now` (ms); the job counts are over all jobs of `origins`."""
    [counts] = await rows(
        "SELECT count(*) AS in_all, coalesce(sum(person = ?), 0) AS own,"
        " coalesce(sum(community = ?), 0) AS in_community FROM jobs"
        " WHERE state IN ('pending', 'running')"
        " AND origin IN (SELECT value FROM json_each(?))",
        (person, community, json.dumps(origins)),
    )
    # Jobs that failed, or were cancelled before they started, do not count.
    asked = list(
        await rows(
            "SELECT created_at, coalesce(json_extract(iif(json_valid(request), request, '{}'),"
            " '$.count'), 1) AS count FROM jobs"
            " WHERE person = ? AND created_at > ? AND state != 'failed'"
            " AND (state != 'cancelled' OR started_at IS NOT NULL) ORDER BY created_at",
            (person, now - DAY * 1000),
        )
    )
    return Usage(
        asked_at=asked[-1]["created_at"] / 1000 if asked else None,
        images=tuple(row["created_at"] / 1000 for row in asked for _ in range(row["count"])),
        own=counts["own"],
        in_community=counts["in_community"],
        in_all=counts["in_all"],
    )
