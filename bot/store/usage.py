"""What one person has asked for in the last day: the input of the cooldown and the quota."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.store.database import Row

DAY = 24 * 60 * 60

ASKED = (
    "SELECT created_at, community, coalesce(parent_channel_id, channel_id) AS channel,"
    " coalesce(json_array_length(iif(json_valid(request), request, '{}'), '$.comparison.cells'),"
    " json_extract(iif(json_valid(request), request, '{}'), '$.count'), 1) AS count,"
    " state NOT IN ('failed', 'cancelled') AS counts"
    " FROM jobs LEFT JOIN discord_jobs ON discord_jobs.job_id = jobs.id"
    " WHERE person = ? AND created_at > ? AND kind != 'cell' ORDER BY created_at"
)
"""The jobs of a person since a time in ms, with how many images each is. Those that failed or were
cancelled do not count towards the quota."""
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
    asked: each of the requests in 24 hours, oldest first.
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


def usage_of(rows: Iterable[Row]) -> Usage:
    """rows: of `ASKED`. The jobs that wait or run are not counted."""
    asked = list(rows)
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
        ),
    )
