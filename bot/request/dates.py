"""Days as people type them, for searches."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.errors import InvalidRequest

_DAYS_AGO: Final = {
    "today": 0,
    "heute": 0,
    "aujourd'hui": 0,
    "yesterday": 1,
    "gestern": 1,
    "hier": 1,
}
_AGO: Final = re.compile(r"(\d{1,4}) ?[dtj]")
"""Days, Tage, jours."""
_DAY: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})")
_DOTS: Final = re.compile(r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})")
_SLASHES: Final = re.compile(r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})")
_AMERICAN: Final = "en-US"
"""Where a day with slashes begins with the month, and also what Discord says for want of another
language: such days are not guessed there."""


def day_of(text: str, field: str, now: datetime, locale: str = _AMERICAN) -> datetime:
    """The beginning of the day that `text` means, in UTC: `2026-11-01`, `01.11.2026`, `today`,
    `yesterday`, or `7d` for seven days ago; words in every language of ours. field: the option, for
    the error. locale: of the person; `01/11/2026` is read only where it begins with the day.

    Raises InvalidRequest.
    """
    wanted = text.strip().casefold().replace("\u2019", "'")
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if (days := _DAYS_AGO.get(wanted)) is not None:
        return today - timedelta(days=days)
    if (ago := _AGO.fullmatch(wanted)) is not None:
        return today - timedelta(days=int(ago[1]))
    forms = (_DAY, _DOTS) if locale == _AMERICAN else (_DAY, _DOTS, _SLASHES)
    for form in forms:
        if (day := form.fullmatch(wanted)) is not None:
            try:
                return datetime(int(day["year"]), int(day["month"]), int(day["day"]), tzinfo=UTC)
            except ValueError as error:
                raise InvalidRequest(field, "history.no_day", value=text) from error
    raise InvalidRequest(field, "history.date", value=text, example=f"{today:%Y-%m-%d}")
