"""Days as people type them."""

from datetime import UTC, datetime

import pytest

from bot.errors import InvalidRequest
from bot.request.dates import day_of

NOW = datetime(2026, 11, 29, 21, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "month", "day"),
    [
        ("2026-11-01", 11, 1),
        ("2026-9-1", 9, 1),
        (" Today ", 11, 29),
        ("yesterday", 11, 28),
        ("0d", 11, 29),
        ("7d", 11, 22),
        ("30 d", 10, 30),
        ("heute", 11, 29),
        ("Gestern", 11, 28),
        ("aujourd\u2019hui", 11, 29),
        ("aujourd'hui", 11, 29),
        ("hier", 11, 28),
        ("7t", 11, 22),
        ("7 j", 11, 22),
        ("01.11.2026", 11, 1),
        ("1. 9. 2026", 9, 1),
    ],
)
def test_a_day_begins_at_midnight(text: str, month: int, day: int) -> None:
    assert day_of(text, "from", NOW) == datetime(2026, month, day, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "d", "7", "-7d", "7days", "1.11.26", "01/11/2026", "2026-11", "0-0-0"]
)
def test_anything_else_is_named_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        day_of(text, "from", NOW)
    assert raised.value.code == "history.date"
    assert raised.value.params == {"field": "from", "value": text, "example": "2026-11-29"}


@pytest.mark.parametrize("text", ["2026-02-30", "30.02.2026", "2026-13-01", "0000-01-01"])
def test_a_day_that_does_not_exist_is_named(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        day_of(text, "to", NOW)
    assert raised.value.code == "history.no_day"


@pytest.mark.parametrize("locale", ["fr", "de", "en-GB"])
def test_a_day_with_slashes_is_read_where_it_can_mean_only_one(locale: str) -> None:
    assert day_of("01/11/2026", "from", NOW, locale) == datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(InvalidRequest):
        day_of("11/30/2026", "from", NOW, locale)
