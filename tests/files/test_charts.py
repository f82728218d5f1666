"""The chart of figures: what is drawn, and how its axis ends."""

import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bot.chat.ui.messages import ALT_TEXT_MAX
from bot.chat.ui.stats import alt_text, chart_of, since
from bot.files.charts import (
    BAR,
    LABEL_SIZES,
    MARGIN,
    OTHER,
    PAPER,
    SHARPER,
    WIDTH,
    draw_chart,
    label_size,
    nice,
)
from bot.files.sheets.lettering import Lettering
from bot.store.figures import Tally
from tests.language import TEXTS
from tests.parameters import mostly_long

FIRST = datetime(2026, 11, 23, tzinfo=UTC)


def tally(**fields: object) -> Tally:
    values: dict[str, object] = {
        "days": Counter({0: 3, 6: 12}),
        "models": Counter({"base": 5, "secret": 4, "gone": 1}),
        "loras": Counter({"ink": 2}),
        "ended": Counter(delivered=9, failed=1),
        "waits": Counter({1: 1, 2: 1, 400: 1}),
        "images": 15,
        "jobs": 10,
        **fields,
    }
    return Tally(**values)  # type: ignore[arg-type]


def named(key: str) -> str | None:
    return None if key in ("secret", "gone") else f"The {key}"


def colours(data: bytes) -> set[tuple[int, ...]]:
    with Image.open(io.BytesIO(data)) as image:
        found = image.convert("RGB").getcolors(2**24)
    assert found is not None
    return {colour for _, colour in found}  # type: ignore[misc]


@pytest.mark.parametrize("language", mostly_long(["en", "de", "fr"], usual=["de"]))
def test_it_is_drawn_on_a_ground_of_its_own(language: str) -> None:
    say = TEXTS.speaker(language)
    chart = chart_of(say, tally(), "Ein Server 名前 😀", FIRST, 7, named)
    drawn = colours(draw_chart(chart))
    assert {PAPER, BAR, OTHER} <= drawn
    empty = chart_of(say, Tally(), "", FIRST, 7, named)
    assert BAR not in colours(draw_chart(empty))


@pytest.mark.parametrize("language", TEXTS.languages)
def test_no_label_is_cut_in_any_language(language: str) -> None:
    chart = chart_of(TEXTS.speaker(language), tally(), "", FIRST, 7, named)
    labels = [label for _, label in chart.tiles]
    width = (WIDTH - 2 * MARGIN - 16 * (len(labels) - 1)) / len(labels) - 30
    lettering = Lettering(label_size(labels, width) * SHARPER)
    assert [label for label in labels if lettering.width(label) > width * SHARPER] == []


def test_what_fits_nowhere_has_the_smallest_letters() -> None:
    assert label_size(["x" * 500], 100) == LABEL_SIZES[-1]


def test_the_same_is_said_in_words() -> None:
    say = TEXTS.speaker("en")
    text = alt_text(chart_of(say, tally(), "Your images", FIRST, 7, named))
    for part in ("images: 15", "median wait: 2 s", "The base 5", "Others 5", "11/29 12"):
        assert part in text
    assert "secret" not in text
    many = tally(days=Counter(dict.fromkeys(range(90), 1000)))
    assert len(alt_text(chart_of(say, many, "x" * 900, FIRST, 90, named))) <= ALT_TEXT_MAX


def test_the_last_day_is_today() -> None:
    now = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
    assert since(now, 7) == FIRST
    assert since(now, 1) == datetime(2026, 11, 29, tzinfo=UTC)


@given(st.integers(0, 10**7))
def test_the_axis_ends_at_a_round_even_number_not_far_above(most: int) -> None:
    end = nice(most)
    assert end >= max(2, most)
    assert end % 2 == 0
    assert end <= max(2, 2.5 * most)


def test_figures_are_counted_once(rows: Callable[..., list[dict[str, object]]]) -> None:
    counted = Tally()
    counted.add(rows("delivered", "failed", "cancelled", "done", kind="imagine"), 0)  # type: ignore[arg-type]
    counted.add(rows("delivered", kind="cell"), 0)  # type: ignore[arg-type]
    counted.add(rows("delivered", request="{"), 0)  # type: ignore[arg-type]
    assert (counted.jobs, counted.images) == (5, 6)
    assert counted.models == Counter({"base": 2})
    assert counted.loras == Counter({"ink": 2})
    assert counted.ended == Counter(delivered=3, failed=1, cancelled=1)
    assert counted.waits == {1: 5}


@given(st.lists(st.integers(0, 5), min_size=1), st.sampled_from([0.5, 0.95, 1.0]))
def test_so_many_began_within_that_time(waits: list[int], share: float) -> None:
    within = Tally(waits=Counter(waits)).waited(share)
    assert within in waits
    assert sum(wait <= within for wait in waits) >= share * len(waits)
    assert sum(wait < within for wait in waits) < share * len(waits)
    assert Tally().waited(share) is None


@pytest.fixture
def rows() -> Callable[..., list[dict[str, object]]]:
    def made(*states: str, **fields: object) -> list[dict[str, object]]:
        request = '{"model": "base", "adapters": [{"key": "ink"}, {"key": "ink"}]}'
        row = {"kind": "imagine", "created_at": 1, "started_at": 1001, "images": 2}
        return [{**row, "request": request, "state": state, **fields} for state in states]

    return made
