"""Quiet hours: a time of day at which nothing is generated."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from bot.errors import InvalidRequest

DAY = timedelta(days=1)
CLOCK = "%H:%M"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end`, past midnight if that is earlier; the two differ.

    zone: None for the machine's own. All moments are in seconds since the epoch.
    """

    start: time
    end: time
    zone: ZoneInfo | None = None

    @classmethod
    def of(cls, start: str, end: str, zone: str | None = None) -> Self:
        """start, end: such as `22:30`. zone: an IANA name such as `Europe/Berlin`.

        Raises InvalidRequest.
        """
        begins, ends = _time_of_day("start", start), _time_of_day("end", end)
        if begins == ends:
            raise InvalidRequest("end", "quiet.same", value=end)
        if not zone:
            return cls(begins, ends)
        try:
            return cls(begins, ends, ZoneInfo(zone))
        except (ValueError, KeyError, OSError) as error:
            raise InvalidRequest("zone", "quiet.zone", value=zone) from error

    @property
    def clock(self) -> tuple[str, str, str]:
        """Start, end and the zone's name, empty for the machine's, as `of` takes them."""
        zone = "" if self.zone is None else self.zone.key
        return self.start.strftime(CLOCK), self.end.strftime(CLOCK), zone

    def until(self, now: float) -> float | None:
        """When the quiet hours end in which `now` lies; None if it does not."""
        return next((end for begin, end in self._around(now) if begin <= now < end), None)

    def open_at(self, moment: float) -> float:
        """`moment`, or the end of the quiet hours in which it lies."""
        end = self.until(moment)
        return moment if end is None else end

    def changes_at(self, now: float) -> float:
        """When they next begin or end."""
        return min(at for both in self._around(now) for at in both if at > now)

    def _around(self, now: float) -> list[tuple[float, float]]:
        """Those of yesterday, today and tomorrow."""
        today = datetime.fromtimestamp(now, self.zone).date()
        length = timedelta() if self.start < self.end else DAY
        return [
            (
                datetime.combine(day, self.start, self.zone).timestamp(),
                datetime.combine(day + length, self.end, self.zone).timestamp(),
            )
            for day in (today - DAY, today, today + DAY)
        ]


def _time_of_day(field: str, text: str) -> time:
    try:
        return datetime.strptime(text.strip(), CLOCK).time()  # noqa: DTZ007 – a time of day
    except ValueError as error:
        raise InvalidRequest(field, "quiet.time", value=text) from error
