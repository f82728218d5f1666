"""🧬: which images may be varied, how far, and how many there will be; no Discord."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bot.chat.here import KEPT
from bot.chat.ui.actions import VaryId
from bot.chat.ui.picking import VaryById
from bot.errors import InvalidRequest, Refused
from bot.levels import Level, PlaceLimit
from bot.queue.limits import Limits
from bot.request import (
    CRISP,
    MIXES_MAX,
    REPAINT,
    Axis,
    Comparison,
    GenerationRequest,
    Upscale,
    draw_seed,
)
from bot.store import Job, JobState
from cogs.vary import VaryButton, VarySelect
from tests.chat.delivery.desk import Desk
from tests.cogs.test_results import PLAIN, Picked, Pressed, results
from tests.parameters import mostly_long
from tests.store.factories import in_channel


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


async def shown(desk: Desk, asked: GenerationRequest) -> Job:
    ticket = await desk.queue.accept(in_channel(request=asked))
    await desk.delivery.acknowledge(desk.interaction(), ticket)
    await desk.delivery.finished(await desk.painted(ticket.job.id))
    desk.world.calls.clear()
    return await desk.store.job(ticket.job.id)


async def picked(desk: Desk, job: Job, value: str, count_max: int | None = None) -> Job:
    """The job that picking `value` for `job` has become."""
    pressed = Picked(desk, {"values": [value]})
    here = pressed.extras[KEPT]
    pressed.extras[KEPT] = replace(here, rules=replace(here.rules, count_max=count_max))
    await VarySelect(results(desk)).use(cast("Any", pressed), VaryById(job.id))
    [made] = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    return made


async def test_what_was_picked_becomes_variations_of_that_image(desk: Desk) -> None:
    job = await shown(desk, replace(PLAIN, count=2))
    made = await picked(desk, job, "1 0.2")
    assert made.kind == "vary"
    assert (made.request.base_seed, made.request.count) == (PLAIN.seed + 1, 4)
    assert made.request.variation
    assert made.request.variation.strength == 0.2


@pytest.mark.parametrize(
    ("most", "count"), mostly_long([(None, 4), (4, 4), (3, 3), (1, 1)], usual=2)
)
async def test_there_are_as_many_as_may_be_asked_for(
    desk: Desk, most: int | None, count: int
) -> None:
    job = await shown(desk, PLAIN)
    assert (await picked(desk, job, "0 0.1", most)).request.count == count


@pytest.mark.parametrize(("quota", "count"), [(9, 4), (4, 3), (2, 1)])
@pytest.mark.parametrize("owners", mostly_long([True, False], usual=[False]))
async def test_there_are_as_many_as_the_quota_leaves(
    desk: Desk, quota: int, count: int, owners: bool
) -> None:
    """One is used up by the image that is varied."""
    job = await shown(desk, PLAIN)
    pressed = Picked(desk, {"values": ["0 0.1"]})
    here = pressed.extras[KEPT]
    if not owners:
        limit = PlaceLimit(level=Level.SERVER, place=job.community or "", quota=quota)
        pressed.extras[KEPT] = replace(here, rules=replace(here.rules, limits=(limit,)))
    acting = results(desk, Limits(quota=quota) if owners else None)
    await VarySelect(acting).use(cast("Any", pressed), VaryById(job.id))
    [made] = await desk.store.jobs_in(JobState.PENDING, ("discord",))
    assert made.request.count == count


async def test_a_quota_that_is_used_up_says_so(desk: Desk) -> None:
    job = await shown(desk, PLAIN)
    pressed = cast("Any", Picked(desk, {"values": ["0 0.1"]}))
    with pytest.raises(Refused, match=r"queue\.quota "):
        await VarySelect(results(desk, Limits(quota=1))).use(pressed, VaryById(job.id))


@pytest.mark.parametrize(
    "value", mostly_long(["", "0", "1 0.2", "0 0.3", "0 nan", "0 0.2 1", "x 0.2"], usual=3)
)
async def test_what_was_not_offered_is_refused(desk: Desk, value: str) -> None:
    job = await shown(desk, PLAIN)
    with pytest.raises(Refused, match=r"error\.component"):
        await picked(desk, job, value)
    assert desk.world.calls == []


CELLS = Comparison((Axis("steps", ("10", "20")),), (PLAIN, replace(PLAIN, steps=20)))
OTHERS = {
    "a sheet": (replace(PLAIN, comparison=CELLS), "action.open_first"),
    "an image made larger": (
        replace(PLAIN, upscale=Upscale("a" * 64, "sharp", 2.0, CRISP)),
        "action.enlarged",
    ),
    "an image painted over": (
        replace(PLAIN, upscale=Upscale("a" * 64, "sharp", 2.0, REPAINT, 0.3)),
        "action.enlarged",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
async def test_others_have_no_noise_to_vary(desk: Desk, kind: str) -> None:
    asked, code = OTHERS[kind]
    job = replace(await shown(desk, PLAIN), request=asked)
    acting = results(desk)

    async def usable(*_: object) -> Job:
        return job

    acting.usable = usable  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused, match=code):
        await VaryButton(acting).use(cast("Any", Pressed(desk)), VaryId(job.id))
    pressed = cast("Any", Pressed(desk, {"values": ["0 0.2"]}))
    with pytest.raises(Refused, match=code):
        await VarySelect(acting).use(pressed, VaryById(job.id))


async def test_an_image_that_was_varied_too_often_says_so(desk: Desk) -> None:
    asked = PLAIN
    for _ in range(MIXES_MAX):
        asked = asked.variations(draw_seed(), 0.1, 1)
    job = await shown(desk, asked)
    with pytest.raises(InvalidRequest, match=r"variation\.many"):
        await VaryButton(results(desk)).use(cast("Any", Pressed(desk)), VaryId(job.id))
    with pytest.raises(InvalidRequest, match=r"variation\.many"):
        await picked(desk, job, "0 0.2")
    assert desk.world.calls == []
