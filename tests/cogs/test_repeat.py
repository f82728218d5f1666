"""🎲 where fewer images are left than the result has; no Discord."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bot.chat.here import KEPT
from bot.chat.ui.actions import NewSeedId, SameSeedId
from bot.errors import Refused
from bot.queue.limits import Limits
from bot.request import DrawnPrompts, GenerationRequest
from bot.store import Job, JobState
from cogs.repeat import RepeatButton
from cogs.repeating import at_most
from tests.chat.delivery.desk import Desk
from tests.cogs.test_results import PLAIN, Pressed, results
from tests.cogs.test_vary import CELLS, shown

FOUR = replace(PLAIN, count=4)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


async def again(
    desk: Desk, job: Job, *, quota: int | None, most: int | None = None, same: bool = False
) -> Job:
    """The job that 🎲 becomes, or 🔁. most: images at once, as the server has set."""
    pressed = Pressed(desk)
    here = pressed.extras[KEPT]
    pressed.extras[KEPT] = replace(here, rules=replace(here.rules, count_max=most))
    ids = SameSeedId if same else NewSeedId
    button = RepeatButton(ids, results(desk, Limits(quota=quota)))
    await button.use(cast("Any", pressed), ids(job.id))
    [made] = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    return made


@pytest.mark.parametrize(
    ("quota", "most", "count"),
    [(None, None, 4), (8, None, 4), (7, None, 3), (5, None, 1), (7, 2, 2), (None, 3, 3)],
)
async def test_as_many_as_are_left_are_generated_and_a_note_says_so(
    desk: Desk, quota: int | None, most: int | None, count: int
) -> None:
    made = await again(desk, await shown(desk, FOUR), quota=quota, most=most)
    assert made.request.count == count
    notes = [(note.code, note.params) for note in made.warnings]
    assert notes == ([("repeat.fewer", {"count": count, "asked": 4})] if count < 4 else [])


async def test_where_none_is_left_it_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"queue\.quota "):
        await again(desk, await shown(desk, FOUR), quota=4)


async def test_the_same_images_are_all_of_them_or_none(desk: Desk) -> None:
    with pytest.raises(Refused, match=r"queue\.quota "):
        await again(desk, await shown(desk, FOUR), quota=7, same=True)


def test_of_a_comparison_no_cell_is_left_out() -> None:
    sheet = replace(PLAIN, comparison=CELLS)
    assert at_most(1, sheet) == (sheet, ())


def test_the_first_images_keep_their_texts() -> None:
    drawn = tuple(DrawnPrompts(f"prompt {n}", "", (), ()) for n in range(2, 5))
    asked: GenerationRequest = replace(FOUR, prompt="prompt 1", others=drawn)
    for count in range(1, 4):
        fewer, _ = at_most(count, asked)
        assert fewer.count == len(fewer.prompts) == count
        assert fewer.prompts == asked.prompts[:count]
