"""Days as people type them, for searches."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.errors import InvalidRequest

_AGO: Final = re.compile(r"(\d{1,4}) ?d")
_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


def day_of(text: str, field: str, now: datetime) -> datetime:
    """The beginning of the day that `text` means, in UTC: `2026-11-01`, `today`, `yesterday`, or
    `7d` for seven days ago. field: the option, for the error.

    Raises InvalidRequest.
    """
    wanted, today = text.strip().casefold(), datetime(now.year, now.month, now.day, tzinfo=UTC)
    if wanted == "today":
        return today
    if wanted == "yesterday":
        return today - timedelta(days=1)
    if (ago := _AGO.fullmatch(wanted)) is not None:
        return today - timedelta(days=int(ago[1]))
    if (day := _DAY.fullmatch(wanted)) is not None:
        try:
            return datetime(*map(int, day.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
        except ValueError as error:
            raise InvalidRequest(field, "history.no_day", value=text) from error
    raise InvalidRequest(field, "history.date", value=text, example=f"{today:%Y-%m-%d}")
