"""What /history looks for, and what it lists where."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.chat.ui.history import NEWER, SIZE, HistoryPageId
from bot.errors import Refused
from bot.store import Job
from catalog import AdapterEntry, Catalog, ModelEntry
from cogs.history import lists
from cogs.history.command import lora_key, model_key, span
from cogs.history.lists import BATCH, Lists
from tests.chat.found import found_here
from tests.store.factories import any_job, discord_origin

CATALOG = Catalog(
    {
        "demo": ModelEntry(key="demo", name="Demo one", path="a/b"),
        "off": ModelEntry(key="off", name="Switched off", path="a/b", enabled=False),
        "adult": ModelEntry(key="adult", name="For adults", path="a/b", nsfw=True),
    },
    {
        "ink": AdapterEntry(key="ink", name="Ink: wash", path="a/b"),
        "velvet": AdapterEntry(key="velvet", name="Velvet", path="a/b", nsfw=True),
    },
    "demo",
)


@pytest.mark.parametrize(
    ("typed", "nsfw", "key"),
    [
        ("demo", False, "demo"),
        (" demo ONE ", False, "demo"),
        ("off", False, "off"),
        ("Switched off", False, "off"),
        ("adult", False, "adult"),
        ("For adults", True, "adult"),
        ("For adults", False, "For adults"),
        ("long gone", False, "long gone"),
    ],
)
def test_a_model_is_found_whatever_has_become_of_it(typed: str, nsfw: bool, key: str) -> None:
    assert model_key(CATALOG, typed, nsfw=nsfw) == key


@pytest.mark.parametrize(
    ("typed", "nsfw", "key"),
    [
        ("ink:0.5", False, "ink"),
        ("Ink: wash", False, "ink"),
        ("velvet", False, "velvet"),
        ("Velvets", False, "Velvets"),
        ("gone:1", False, "gone"),
    ],
)
def test_a_lora_too(typed: str, nsfw: bool, key: str) -> None:
    assert lora_key(CATALOG, typed, nsfw=nsfw) == key


def test_after_the_last_day_there_is_nothing() -> None:
    assert span(None, "9999-12-31", "en-US") == (None, None)
    first, end = span("2026-11-01", "01/11/2026", "fr")
    assert first is not None
    assert end is not None
    assert end - first == 24 * 60 * 60 * 1000


class Long:
    """A list of so many results, of which only the oldest may be shown here."""

    def __init__(self, count: int, shown: int) -> None:
        self._jobs = {
            n: any_job(id=f"job{n}", origin=discord_origin(user_id=7)) for n in range(1, count + 1)
        }
        self._shown = shown
        self.lists = Lists(
            cast("Any", SimpleNamespace(sees=self._sees, store=None)),
            cast("Any", None),
            cast("Any", self),
        )

    async def _sees(self, interaction: Any, job: Job) -> bool:
        return True

    async def check_elsewhere(self, job: Job) -> None:
        if int(job.id.removeprefix("job")) > self._shown:
            raise Refused("repeat.gated")

    async def fetch(self, before: int | None, after: int | None) -> list[tuple[int, Job]]:
        every = sorted(self._jobs.items(), reverse=True)
        if after is not None:
            return [each for each in every if each[0] > after][-BATCH:]
        return [each for each in every if before is None or each[0] < before][:BATCH]

    async def page(self, **wanted: Any) -> Any:
        here: Any = SimpleNamespace(extras=found_here())
        return await self.lists._visible(here, self.fetch, HistoryPageId(**wanted))


async def test_what_is_behind_much_that_may_not_be_shown_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "BATCHES_MAX", 2)
    long = Long(5 * BATCH, 3)
    first = await long.page()
    assert (first.found, first.more, first.hidden) == ([], True, {"history.gated"})
    assert first.reached == 3 * BATCH + 1
    second = await long.page(at=first.reached)
    assert second.reached == BATCH + 1
    third = await long.page(at=second.reached)
    assert [number for number, _ in third.found] == [3, 2, 1]
    assert (third.more, third.reached) == (False, None)
    back = await long.page(way=NEWER, at=3)
    assert (back.found, back.reached) == ([], 3 + 2 * BATCH)


async def test_a_full_page_goes_on_where_it_ends() -> None:
    page = await Long(20, 20).page()
    assert [number for number, _ in page.found] == [*range(20, 20 - SIZE, -1)]
    assert (page.more, page.reached, page.hidden) == (True, None, frozenset())
