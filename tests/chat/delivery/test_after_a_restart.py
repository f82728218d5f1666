"""What earlier processes have left is told, and so are failures."""

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest

from bot.progress import Progress, Stage
from bot.store import Failure, JobState
from tests.chat.delivery.desk import REQUESTER, Desk, bring, pinged, until_edited, words
from tests.chat.delivery.discord_fakes import (
    AWAY,
    CHANNEL,
    FORBIDDEN,
    GONE,
    REJECTED,
    TOO_LARGE,
)
from tests.queue.lanes import queue_of
from tests.store.factories import CANARY, in_channel

S = JobState


class TestFailures:
    async def test_why_is_said_in_place_of_the_status(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        failed = await desk.store.fail(ticket.job, Failure("job.timeout", {"seconds": 600}))
        assert failed is not None
        await desk.delivery.failed(failed)
        assert "600 seconds" in (desk.last("interaction").embed.description or "")
        assert pinged(desk.last("interaction")) == [REQUESTER]

    @pytest.mark.parametrize(
        "refused", [[FORBIDDEN] * 2, [GONE] * 2, [TOO_LARGE], [AWAY] * 9, [REJECTED] * 2]
    )
    async def test_when_it_cannot_be_said_nothing_is_raised(
        self, desk: Desk, refused: list[Exception]
    ) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(expired=True), ticket)
        for way in ("edit", "send"):
            desk.world.refuse(way, *refused)
        failed = await desk.store.fail(ticket.job, Failure("memory.out", {"adapters": 0}))
        assert failed is not None
        await desk.delivery.failed(replace(failed, error=Failure("job.timeout", {"seconds": 1})))


class TestAfterARestart:
    async def test_what_waits_is_followed_through_its_channel(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.store.messages.set(ticket.job.id, CHANNEL, 77)
        queue = queue_of(desk.store)
        await queue.line_up([await desk.store.job(ticket.job.id)])
        await desk.delivery.resume(await queue.standings())
        await until_edited(desk, 1)
        assert desk.last("edit").message_id == 77

    async def test_what_was_painted_is_brought(self, desk: Desk) -> None:
        job = await desk.painted((await desk.accepted()).job.id)
        await bring(desk.delivery, [job])
        assert desk.world.ways() == ["send"]
        assert await desk.state(job) is S.DELIVERED

    async def test_what_was_given_up_is_told(self, desk: Desk) -> None:
        job = (await desk.accepted()).job
        failed = await desk.store.fail(job, Failure("job.died", {}))
        assert failed is not None
        await bring(desk.delivery, [failed])
        assert "I kept crashing on this one" in (desk.last("send").embed.description or "")

    async def test_what_is_painted_before_the_login_waits_for_it(self, desk: Desk) -> None:
        tickets = [await desk.accepted() for _ in range(2)]
        for n, ticket in enumerate(tickets):
            await desk.delivery.acknowledge(desk.interaction(message_id=400 + n), ticket)
        desk.world.calls.clear()
        login = asyncio.Event()
        later = desk.restarted(logged_in=login.wait)
        bringing = asyncio.create_task(later.finished(await desk.painted(tickets[0].job.id)))
        later.progressed(tickets[1].job, Progress(Stage.PAINTING, step=1, steps=2))
        await asyncio.sleep(0.01)
        assert desk.world.calls == []
        assert later.on_the_way == 1
        login.set()
        await later.resume(tickets[1:])
        await bringing
        assert await desk.state(tickets[0].job) is S.DELIVERED
        later.progressed(tickets[1].job, Progress(Stage.PAINTING, step=1, steps=2))
        await later.finished(await desk.painted(tickets[1].job.id))
        assert await desk.state(tickets[1].job) is S.DELIVERED

    async def test_one_whose_files_are_gone_does_not_stop_the_others(self, desk: Desk) -> None:
        lost = await desk.painted((await desk.accepted()).job.id)
        kept = await desk.painted((await desk.accepted(in_channel(user_id=8))).job.id)
        [image] = await desk.store.images(lost.id)
        (desk.images / image.path).unlink()
        await bring(desk.delivery, [lost, kept])
        assert await desk.state(kept) is S.DELIVERED
        failed = await desk.store.job(lost.id)
        assert (failed.state, failed.error) == (S.FAILED, Failure("delivery.files_gone", {}))
        assert any(
            "disappeared from the disk" in (c.sent["embed"].description or "")
            for c in desk.world.calls
            if c.way != "reaction" and c.sent["embed"] is not None
        )

    @pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
    async def test_files_that_cannot_be_read_at_present_are_waited_for(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        job = await desk.asked_and_painted()
        really, refusals = Path.read_bytes, iter([number, number])

        def read(path: Path) -> bytes:
            if refused := next(refusals, None):
                raise OSError(refused, "refused", str(path))
            return really(path)

        monkeypatch.setattr(Path, "read_bytes", read)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.DELIVERED

    async def test_a_fault_of_ours_with_one_does_not_stop_the_others(self, desk: Desk) -> None:
        first = await desk.painted((await desk.accepted()).job.id)
        second = await desk.painted((await desk.accepted(in_channel(user_id=8))).job.id)
        desk.world.refuse("send", RuntimeError("not Discord's"))
        await bring(desk.delivery, [first, second])
        states = {await desk.state(first), await desk.state(second)}
        assert states == {S.FAILED, S.DELIVERED}

    async def test_of_a_fault_of_ours_the_person_is_told_and_the_file_stays(
        self, desk: Desk, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", RuntimeError(f"our own, with {CANARY}"))
        await desk.delivery.finished(job)
        failed = await desk.store.job(job.id)
        assert failed.error == Failure("job.unexpected", {"id": job.id})
        assert failed.told_at
        assert job.id in words(desk.last("edit").embed)
        [image] = await desk.store.images(job.id)
        assert (desk.images / image.path).is_file()
        assert "RuntimeError" in caplog.text
        assert CANARY not in caplog.text
