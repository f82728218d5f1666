"""The message of a job follows it until there is a result."""

import asyncio
import time
from dataclasses import replace

import pytest

from bot.chat.delivery.status import EDITS_AT_ONCE
from bot.progress import Progress, Stage
from tests.chat.delivery.desk import Desk, pinged, until_edited
from tests.chat.delivery.discord_fakes import (
    AWAY,
    EXPIRED,
    GONE,
    Call,
)
from tests.store.factories import in_channel


def place(position: int) -> Progress:
    return Progress(Stage.QUEUED, position=position)


class TestFollowing:
    async def test_the_message_follows_the_job(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=3, steps=10))
        await until_edited(desk, 2)
        edit = desk.last("interaction")
        assert (edit.embed.fields[0].name or "").startswith("Step 3/10")
        assert pinged(edit) == []

    async def test_a_line_that_did_not_change_is_not_sent(self, desk: Desk) -> None:
        first = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), first)
        desk.delivery.moved({first.job.id: place(1)})
        job = await desk.painted(first.job.id)
        for _ in range(20):
            await asyncio.sleep(0)
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction"]

    async def test_someone_who_moved_up_sees_the_new_place(self, desk: Desk) -> None:
        await desk.accepted()
        await desk.accepted()
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.delivery.moved({"somebody": place(1), ticket.job.id: place(2), "unknown": place(3)})
        await until_edited(desk, 2)
        assert desk.last("interaction").embed.fields[0].name == "Queued, **#2** in line"

    async def test_a_time_that_has_become_wrong_is_corrected(self, desk: Desk) -> None:
        await desk.accepted()
        ticket = await desk.accepted()
        soon = int(time.time()) + 3_600
        told = replace(ticket, place=replace(place(2), ready_at=soon))
        await desk.delivery.acknowledge(desk.interaction(), told)
        for off in (1, 50, -60, 61):
            desk.delivery.moved({ticket.job.id: replace(place(2), ready_at=soon + off)})
            for _ in range(20):
                await asyncio.sleep(0)
        assert desk.world.ways() == ["ack", "interaction"]
        assert f"<t:{soon + 61}:R>" in str(desk.last("interaction").embed.fields[0].value)

    async def test_a_time_that_has_passed_is_told_anew_however_little_is_left(
        self, desk: Desk
    ) -> None:
        await desk.accepted()
        ticket = await desk.accepted()
        now = int(time.time())
        told = replace(ticket, place=replace(place(2), ready_at=now - 1))
        await desk.delivery.acknowledge(desk.interaction(), told)
        later = replace(place(2), ready_at=now + 50)
        desk.delivery.moved({ticket.job.id: later})
        await until_edited(desk, 2)
        assert f"<t:{now + 50}:R>" in str(desk.last("interaction").embed.fields[0].value)

    async def test_everybody_hears_of_a_pause_and_of_its_end_wherever_they_are(
        self, desk: Desk
    ) -> None:
        await desk.accepted()
        ticket = await desk.accepted()
        far = replace(ticket, place=place(57))
        await desk.delivery.acknowledge(desk.interaction(), far)
        desk.delivery.moved({ticket.job.id: replace(place(57), paused=True)})
        await until_edited(desk, 2)
        assert "Paused" in str(desk.last("interaction").embed.fields[0].name)
        desk.delivery.moved({ticket.job.id: place(57)})
        await until_edited(desk, 3)
        assert desk.last("interaction").embed.fields[0].name == "Queued, **#57** in line"

    async def test_it_can_be_cancelled_until_there_is_a_result(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await until_edited(desk, 2)
        for call in desk.world.calls:
            [button] = call.sent["view"].children
            assert button.custom_id == f"cancel:{ticket.job.id}"
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        offered = desk.last("interaction").layout.walk_children()
        ids = {str(getattr(one, "custom_id", "")).partition(":")[0] for one in offered}
        assert {"same", "new", "edit", "more"} <= ids
        assert "cancel" not in ids

    async def test_a_cancelled_job_says_so_and_has_no_button(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        cancelled = await desk.store.cancel(ticket.job)
        assert cancelled is not None
        await desk.delivery.failed(cancelled)
        assert desk.last("interaction").embed.title == "Cancelled"
        assert desk.last("interaction").sent["view"] is None

    async def test_after_a_message_is_deleted_no_more_edits_are_tried(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.world.refuse("interaction", GONE)
        desk.world.refuse("edit", GONE)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await until_edited(desk, 2)
        for step in range(2, 9):
            desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=step, steps=10))
            for _ in range(10):
                await asyncio.sleep(0)
        assert len(desk.world.ways()) <= 3

    async def test_an_unexpected_error_is_logged_without_the_prompt(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.world.refuse("interaction", RuntimeError(f"of {ticket.job.request.prompt}"))
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await until_edited(desk, 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert f"job {ticket.job.id}: unexpected error" in caplog.text
        assert ticket.job.request.prompt not in caplog.text

    async def test_an_edit_that_fails_for_once_is_made_up_for(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.world.refuse("interaction", AWAY)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await until_edited(desk, 2)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=2, steps=10))
        await until_edited(desk, 3)
        assert desk.world.ways() == ["ack", "interaction", "interaction"]

    async def test_past_fifteen_minutes_the_message_is_followed_through_its_channel(
        self, desk: Desk
    ) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        desk.world.refuse("interaction", EXPIRED)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await until_edited(desk, 2)
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=2, steps=10))
        await until_edited(desk, 3)
        assert (desk.last("edit").embed.fields[0].name or "").startswith("Step 2/10")

    async def test_nothing_overtakes_the_result(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        on_its_way, go_on = asyncio.Event(), asyncio.Event()

        async def slow(call: Call) -> None:
            if call.way == "interaction" and not call.files:
                on_its_way.set()
                await go_on.wait()

        desk.world.before = slow
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=1, steps=10))
        await on_its_way.wait()
        desk.delivery.progressed(ticket.job, Progress(Stage.PAINTING, step=2, steps=10))
        job = await desk.painted(ticket.job.id)
        finishing = asyncio.create_task(desk.delivery.finished(job))
        for _ in range(50):
            await asyncio.sleep(0)
        assert desk.world.ways() == ["ack", "interaction"]
        go_on.set()
        await finishing
        desk.delivery.progressed(job, Progress(Stage.PAINTING, step=9, steps=10))
        desk.delivery.moved({job.id: place(1)})
        for _ in range(50):
            await asyncio.sleep(0)
        assert desk.world.ways() == ["ack", "interaction", "interaction"]
        assert desk.last("interaction").files

    async def test_a_result_waits_for_no_edit_of_other_jobs(self, desk: Desk) -> None:
        tickets = [await desk.accepted(in_channel(user_id=user)) for user in range(6)]
        messages = range(100, 100 + len(tickets))
        for message_id, ticket in zip(messages, tickets, strict=True):
            await desk.delivery.acknowledge(desk.interaction(message_id=message_id), ticket)
        desk.world.calls.clear()
        go_on = asyncio.Event()

        async def slow(call: Call) -> None:
            if call.way == "interaction" and not call.files:
                await go_on.wait()

        desk.world.before = slow
        desk.delivery.moved({ticket.job.id: place(9) for ticket in tickets})
        await until_edited(desk, EDITS_AT_ONCE)
        job = await desk.painted(tickets[-1].job.id)
        async with asyncio.timeout(10):
            await desk.delivery.finished(job)
        assert [call.message_id for call in desk.world.calls if call.way == "interaction"] == [
            *messages[:EDITS_AT_ONCE],
            messages[-1],
        ]
        assert desk.last("interaction").files
        go_on.set()
        await until_edited(desk, len(tickets))
        edited = [call.message_id for call in desk.world.calls if call.way == "interaction"]
        assert sorted(edited) == [*messages], "each once, and nothing below the result"
