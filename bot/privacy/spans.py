"""The span of time that a person chooses: of what is exported or forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bot.errors import InvalidRequest
from bot.store import Span

Choice = Literal["all", "hour", "day", "week"]

_LASTING: Final = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
}


def span_of(choice: Choice | None, since: str | None, until: str | None, now: datetime) -> Span:
    """From what was entered. since, until: dates such as 2026-11-29, in UTC; both are included.

    now: with time zone. Raises InvalidRequest if a date is none, the span is empty, or there is
    both a choice and a date.
    """
    if choice is not None and (since is not None or until is not None):
        raise InvalidRequest("span", "span.both")
    end = now + timedelta(milliseconds=1)
    if choice is None and (since is not None or until is not None):
        begin = None if since is None else _date("from", since)
        last = None if until is None else _date("to", until) + timedelta(days=1)
        if begin is not None and begin >= (last or end):
            raise InvalidRequest("from", "span.empty", value=str(since))
        return Span(0 if begin is None else _ms(begin), _ms(min(last or end, end)))
    if choice is None or choice == "all":
        return Span(0, _ms(end))
    return Span(_ms(now - _LASTING[choice]), _ms(end))


def _date(field: str, text: str) -> datetime:
    try:
        found = datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=UTC)
        return found if found.year > 1970 else datetime(1971, 1, 1, tzinfo=UTC)
    except ValueError:
        raise InvalidRequest(field, "span.date", value=text) from None


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
