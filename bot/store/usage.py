"""What one person has asked for in the last day: the input of the cooldown and the quota."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bot.store.database import Row

AskedRow: TypeAlias = Row | dict[str, Any]
"""A row of `ASKED`."""
DAY = 24 * 60 * 60

_ASKED = (
    "SELECT person, created_at, community, coalesce(parent_channel_id, channel_id) AS channel,"
    " coalesce(json_array_length(iif(json_valid(request), request, '{}'), '$.comparison.cells'),"
    " json_extract(iif(json_valid(request), request, '{}'), '$.count'), 1) AS count,"
    " state NOT IN ('failed', 'cancelled') AS counts,"
    " EXISTS (SELECT 1 FROM quota_resets AS resets"
    " WHERE resets.job_id = jobs.id AND within = community) AS reset"
    " FROM jobs LEFT JOIN discord_jobs ON discord_jobs.job_id = jobs.id"
    " WHERE kind != 'cell' AND created_at > ? AND NOT EXISTS"
    " (SELECT 1 FROM quota_resets AS resets WHERE resets.job_id = jobs.id AND within = '')"
)
ASKED = f"{_ASKED} AND person = ? ORDER BY created_at"
"""The jobs of a person since a time in ms, with how many images each is. Those that failed or were
cancelled do not count towards the quota, those with `reset` towards no limit of their server, and
those that count towards none at all are left out: see bot.store.resets."""
ASKED_BY_JOBS = f"{_ASKED} AND jobs.id IN (SELECT value FROM json_each(?))"  # noqa: S608
"""The same of single jobs."""
UNDATE = "UPDATE jobs SET created_at = ? WHERE person = ? AND created_at > ?"
"""A time in the future, from when the clock was wrong, becomes now: otherwise a person would have
to wait until then."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. at: when, in seconds since the epoch. images: how many of it count.

    community: the server. channel: of a thread, the one that it belongs to.
    """

    at: float
    images: int
    community: str | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person has asked for so far; times are seconds since the epoch.

    asked_at: of their last request in 24 hours, whatever became of it; None without one.
    images: one time for each image that they asked for in 24 hours and that counts, oldest first.
    own, in_community, in_all: jobs that wait or run, and places reserved; see bot.queue.demand.
    asked: each of the requests in 24 hours that counts towards the limits of its server and
        channel, oldest first.
    """

    asked_at: float | None = None
    images: tuple[float, ...] = ()
    own: int = 0
    in_community: int = 0
    in_all: int = 0
    asked: tuple[Asked, ...] = field(default=(), compare=False)

    def within(self, place: str | int) -> "Usage":
        """What they have asked for in one place: a community, or a channel by its ID."""
        asked = tuple(each for each in self.asked if place in (each.community, each.channel))
        return replace(
            self,
            asked_at=max((each.at for each in asked), default=None),
            images=tuple(each.at for each in asked for _ in range(each.images)),
            asked=asked,
        )


class Spent:
    """What people have asked for in the last day and had forgotten since.

    It counts towards limits all the same, but is kept in memory alone.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[AskedRow]] = {}

    def add(self, rows: Iterable[AskedRow], since: int) -> None:
        """rows: of `ASKED_BY_JOBS`. since: what is older is dropped, in ms."""
        for row in rows:
            self._rows.setdefault(row["person"], []).append(row)
        for person in list(self._rows):
            if not self.of(person, since):
                del self._rows[person]

    def of(self, person: str, since: int) -> list[AskedRow]:
        """What `person` has asked for since then, in ms."""
        return [row for row in self._rows.get(person, ()) if row["created_at"] > since]

    def without(self, person: str, within: str, since: int) -> list[AskedRow]:
        """What is left of `of` once they start over, see `Resets.reset`."""
        rows = self.of(person, since)
        return [_reset_in(within, row) for row in rows] if within else []

    def keep(self, person: str, rows: list[AskedRow]) -> None:
        """Remember these instead of what they have asked for."""
        self._rows[person] = rows
        if not rows:
            del self._rows[person]


def _reset_in(community: str, row: AskedRow) -> AskedRow:
    there = row["community"] == community and not row["reset"]
    return {**dict(row), "reset": True} if there else row


def usage_of(rows: Iterable[AskedRow], spent: Iterable[AskedRow] = ()) -> Usage:
    """rows: of `ASKED`. spent: of what is no longer stored. The jobs that wait or run are not
    counted."""
    asked = sorted((*rows, *spent), key=lambda row: row["created_at"])
    return Usage(
        asked_at=asked[-1]["created_at"] / 1000 if asked else None,
        images=tuple(
            row["created_at"] / 1000 for row in asked if row["counts"] for _ in range(row["count"])
        ),
        asked=tuple(
            Asked(
                row["created_at"] / 1000,
                row["count"] if row["counts"] else 0,
                row["community"],
                row["channel"],
            )
            for row in asked
            if not row["reset"]
        ),
    )
