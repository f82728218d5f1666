"""The span of time that a person chooses."""

from datetime import UTC, datetime

import pytest

from bot.errors import InvalidRequest
from bot.privacy import Choice, span_of
from bot.store import Span

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
END = int(NOW.timestamp() * 1000) + 1
DAY = 24 * 60 * 60 * 1000
MIDNIGHT = END - 1 - DAY // 2


@pytest.mark.parametrize(
    ("choice", "since", "until", "span"),
    [
        (None, None, None, Span(0, END)),
        ("all", None, None, Span(0, END)),
        ("hour", None, None, Span(END - 1 - DAY // 24, END)),
        ("day", None, None, Span(END - 1 - DAY, END)),
        ("week", None, None, Span(END - 1 - 7 * DAY, END)),
        (None, "2026-11-29", None, Span(MIDNIGHT, END)),
        (None, " 2026-11-28 ", "2026-11-28", Span(MIDNIGHT - DAY, MIDNIGHT)),
        (None, None, "2026-11-27", Span(0, MIDNIGHT - DAY)),
        (None, "2026-11-01", "2030-01-01", Span(MIDNIGHT - 28 * DAY, END)),
    ],
)
def test_it_is_what_was_chosen(
    choice: Choice | None, since: str | None, until: str | None, span: Span
) -> None:
    assert span_of(choice, since, until, NOW) == span


@pytest.mark.parametrize(
    ("choice", "since", "until", "code"),
    [
        ("day", "2026-11-29", None, "span.both"),
        (None, "29.11.2026", None, "span.date"),
        (None, None, "2026-02-30", "span.date"),
        (None, "2026-11-29", "2026-11-28", "span.empty"),
        (None, "2027-01-01", None, "span.empty"),
        (None, "²026-01-01", None, "span.date"),
    ],
)
def test_what_is_none_is_refused(
    choice: Choice | None, since: str | None, until: str | None, code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        span_of(choice, since, until, NOW)
    assert refused.value.code == code


def test_before_anything_was_there_is_everything_but_what_has_no_time() -> None:
    assert not span_of(None, "0001-01-01", None, NOW).whole
