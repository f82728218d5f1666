"""Results that the image check withheld are never shown to everyone as they are."""

import asyncio
from typing import Any

import pytest

from bot.settings.image_check import ImageCheck
from bot.store import Job, JobState
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import DIRECT, Call
from tests.store.factories import in_channel, origin_of


async def withheld(desk: Desk, job_id: str, mode: ImageCheck) -> Job:
    """Generated and flagged."""
    await desk.store.image_checks.withhold(await desk.store.job(job_id), mode, "flagged")
    return await desk.painted(job_id)


async def finished_before_it_is_acknowledged(desk: Desk, mode: ImageCheck, **fields: Any) -> Job:
    """Discord hesitates to take the acknowledgement until the job is done, which follows it."""
    on_its_way, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> None:
        if call.way == "ack":
            on_its_way.set()
            await go_on.wait()

    desk.world.before = slow
    ticket = await desk.accepted(in_channel(image_check=mode, **fields))
    acknowledging = asyncio.create_task(desk.delivery.acknowledge(desk.interaction(), ticket))
    await on_its_way.wait()
    finishing = asyncio.create_task(
        desk.delivery.finished(await withheld(desk, ticket.job.id, mode))
    )
    go_on.set()
    await asyncio.gather(acknowledging, finishing)
    return await desk.store.job(ticket.job.id)


async def test_one_for_its_person_is_not_shown_to_those_who_saw_the_acknowledgement(
    desk: Desk,
) -> None:
    job = await finished_before_it_is_acknowledged(desk, "private")
    assert desk.world.ways() == ["ack", "direct", "interaction"]
    assert desk.last("direct").files
    told = desk.last("interaction")
    assert not told.files
    assert "may not be for everyone" in str(told.sent["content"])
    assert job.state is JobState.DELIVERED
    assert (origin_of(job).channel_id, origin_of(job).withheld) == (DIRECT, "shown")


async def test_one_that_was_asked_for_as_hidden_stays_so(desk: Desk) -> None:
    job = await finished_before_it_is_acknowledged(desk, "private", hidden=True)
    assert desk.world.ways() == ["ack", "interaction"]
    assert desk.last("ack").sent["ephemeral"] is True
    assert (origin_of(job).message_id, origin_of(job).withheld) == (400, "hidden")


async def test_one_to_be_blurred_is(desk: Desk) -> None:
    job = await finished_before_it_is_acknowledged(desk, "spoiler")
    assert desk.world.ways() == ["ack", "interaction"]
    assert [item.spoiler for item in desk.last("interaction").gallery] == [True]
    assert origin_of(job).message_id == 400


@pytest.mark.parametrize("mode", ["private", "spoiler"])
async def test_nor_is_one_whose_acknowledgement_arrived_in_time(
    desk: Desk, mode: ImageCheck
) -> None:
    ticket = await desk.accepted(in_channel(image_check=mode))
    await desk.delivery.acknowledge(desk.interaction(), ticket)
    await desk.delivery.finished(await withheld(desk, ticket.job.id, mode))
    public = [call for call in desk.world.calls if call.files and call.way != "direct"]
    assert all(item.spoiler for call in public for item in call.gallery)
    assert len(public) == (mode == "spoiler")
