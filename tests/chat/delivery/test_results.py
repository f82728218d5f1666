"""The result of a job comes once, by whichever way works."""

import asyncio
import hashlib

import aiohttp
import discord
import pytest

from bot.progress import Notice
from bot.store import Failure, JobState
from tests.chat.delivery.desk import REQUESTER, Desk, bring, pinged, words
from tests.chat.delivery.discord_fakes import (
    AWAY,
    CHANNEL,
    DIRECT,
    EXPIRED,
    FORBIDDEN,
    GONE,
    REJECTED,
    TOO_LARGE,
    Call,
    http_error,
)
from tests.queue.lanes import ORIGINS
from tests.store.factories import CANARY, in_channel, new_job, origin_of, request

S = JobState


class TestTheResult:
    async def test_it_replaces_the_status(self, desk: Desk) -> None:
        new = in_channel(request=request(count=2), interaction_id=5)
        job = await desk.asked_and_painted(new)
        await desk.delivery.finished(job)
        result = desk.last("interaction")
        assert [file.filename for file in result.files] == ["demo-42-1.png", "demo-43-2.png"]
        assert [item.description for item in result.gallery] == [
            f"Image {n} of 2: {CANARY}" for n in (1, 2)
        ]
        shown = [f"attachment://{file.filename}" for file in result.files]
        assert [item.media.url for item in result.gallery] == shown
        for file, image in zip(result.files, await desk.store.images(job.id), strict=True):
            assert hashlib.sha256(file.fp.read()).hexdigest() == image.sha256
        assert pinged(result) == [REQUESTER]
        assert result.heading is None
        assert await desk.state(job) is S.DELIVERED
        assert origin_of(await desk.store.job(job.id)).message_id == 400
        assert desk.world.reactions == ["🔁", "🎲"]

    async def test_a_warning_is_said(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        warning = Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})
        await desk.delivery.finished(await desk.painted(ticket.job.id, warning))
        assert "5 of its 9 modules" in desk.last("send").words

    @pytest.mark.parametrize("refused", [GONE, FORBIDDEN, EXPIRED, REJECTED])
    async def test_when_the_interaction_refuses_the_channel_is_edited(
        self, desk: Desk, refused: Exception
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", refused)
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "edit"]
        assert desk.last("edit").files
        assert desk.last("edit").message_id == 400
        assert await desk.state(job) is S.DELIVERED

    @pytest.mark.parametrize("refused", [GONE, FORBIDDEN, REJECTED])
    async def test_when_the_message_cannot_be_edited_a_new_one_is_sent(
        self, desk: Desk, refused: Exception
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", refused)
        await desk.delivery.finished(job)
        sent = desk.last("send")
        assert desk.world.ways() == ["ack", "interaction", "edit", "send"]
        assert sent.files
        assert (sent.heading, pinged(sent)) == (f"<@{REQUESTER}>", [REQUESTER])
        assert sent.sent["nonce"] == job.id
        assert origin_of(await desk.store.job(job.id)).message_id == sent.message_id

    async def test_an_expired_interaction_is_not_even_tried(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(expired=True), ticket)
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        assert desk.world.ways() == ["ack", "edit"]

    @pytest.mark.parametrize(
        ("refused", "code"),
        [
            (FORBIDDEN, "delivery.forbidden"),
            (GONE, "delivery.gone"),
            (REJECTED, "delivery.rejected"),
        ],
    )
    async def test_when_no_way_is_open_the_job_fails(
        self, desk: Desk, refused: Exception, code: str
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", refused, refused)
        # A reply that is forbidden is retried as a plain message.
        desk.world.refuse("send", *[refused] * 4)
        desk.world.refuse("direct", refused)
        await desk.delivery.finished(job)
        failed = await desk.store.job(job.id)
        assert failed.state is S.FAILED
        assert failed.error is not None
        assert failed.error.code == code
        assert desk.world.reactions == []
        assert await desk.store.images(job.id)
        assert desk.world.ways().count("direct") == (refused is not REJECTED)

    async def test_when_the_channel_is_closed_it_comes_as_a_direct_message(
        self, desk: Desk
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", FORBIDDEN)
        desk.world.refuse("send", FORBIDDEN, FORBIDDEN)
        await desk.delivery.finished(job)
        direct = desk.last("direct")
        assert direct.files
        assert (
            direct.heading == f"You asked for this in <#{CHANNEL}>, where I can no longer post it."
        )
        delivered = await desk.store.job(job.id)
        assert (delivered.state, origin_of(delivered).channel_id) == (S.DELIVERED, DIRECT)

    @pytest.mark.parametrize("status", [400, 403])
    @pytest.mark.parametrize("code", [50083, 160005, 50024, 200000, 999999])
    async def test_what_only_this_channel_refuses_comes_as_a_direct_message(
        self, desk: Desk, status: int, code: int
    ) -> None:
        job = await desk.asked_and_painted()
        refused = http_error(status, code)
        desk.world.refuse("interaction", refused)
        desk.world.refuse("edit", refused)
        desk.world.refuse("send", refused, refused)
        await desk.delivery.finished(job)
        assert desk.last("direct").files
        assert await desk.state(job) is S.DELIVERED

    async def test_too_many_edits_of_an_old_message_make_a_new_one(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", http_error(400, 30046))
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "edit", "send"]

    @pytest.mark.parametrize("status", [400, 403])
    async def test_a_reply_that_may_not_be_one_is_sent_without(
        self, desk: Desk, status: int
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", GONE)
        desk.world.refuse("send", http_error(status, 160002))
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "edit", "send", "send"]
        assert "reference" not in desk.last("send").sent
        assert await desk.state(job) is S.DELIVERED

    async def test_what_is_blocked_everywhere_is_said_without_repeating_it(
        self, desk: Desk
    ) -> None:
        job = await desk.asked_and_painted()
        blocked = http_error(400, 200000)
        desk.world.refuse("interaction", blocked)
        desk.world.refuse("edit", blocked)
        desk.world.refuse("send", blocked)
        desk.world.refuse("direct", blocked)
        await desk.delivery.finished(job)
        said = desk.world.calls[-1].embed
        assert "AutoMod" in words(said)
        assert job.request.prompt not in words(said)

    async def test_a_failure_is_told_by_direct_message_where_the_channel_refuses(
        self, desk: Desk
    ) -> None:
        ticket = await desk.accepted(in_channel())
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        failed = await desk.store.fail(ticket.job, Failure("job.timeout", {"seconds": 600}))
        assert failed is not None
        refused = http_error(400, 50083)
        desk.world.refuse("interaction", refused)
        desk.world.refuse("edit", refused)
        desk.world.refuse("send", refused, refused)
        await desk.delivery.failed(failed)
        assert "600" in words(desk.last("direct").embed)

    async def test_a_job_without_a_channel_fails(self, desk: Desk) -> None:
        job = await desk.painted((await desk.accepted(new_job(guild_id=1))).job.id)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.FAILED

    @pytest.mark.parametrize(
        "away",
        [
            AWAY,
            http_error(429),
            OSError(),
            TimeoutError(),
            aiohttp.ServerDisconnectedError(),
            discord.RateLimited(3),
        ],
    )
    async def test_what_may_pass_is_tried_again(self, desk: Desk, away: Exception) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", away, away)
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "interaction", "interaction"]
        assert await desk.state(job) is S.DELIVERED

    async def test_it_is_tried_for_as_long_as_discord_is_away(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", *[AWAY] * 9)
        await desk.delivery.finished(job)
        assert len(desk.world.ways()) == 1 + 10
        assert await desk.state(job) is S.DELIVERED

    async def test_what_a_stop_cuts_off_is_kept_for_the_next_start(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", *[AWAY] * 4)
        bringing = asyncio.create_task(desk.delivery.finished(job))
        while len(desk.world.ways()) < 1 + 4:  # noqa: ASYNC110
            await asyncio.sleep(0)
        bringing.cancel()
        await asyncio.wait([bringing])
        assert await desk.state(job) is S.DONE
        await bring(desk.delivery, await desk.store.jobs_in(S.DONE, ORIGINS))
        assert desk.world.ways()[5:] == ["edit"]
        assert await desk.state(job) is S.DELIVERED

    async def test_each_try_sends_fresh_files(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()

        async def read(call: Call) -> None:
            for file in call.files:
                assert file.fp.read()
                file.close()

        desk.world.before = read
        desk.world.refuse("interaction", AWAY, EXPIRED)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.DELIVERED

    async def test_reactions_that_are_refused_do_no_harm(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("reaction", FORBIDDEN)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.DELIVERED

    async def test_a_result_that_answers_a_reaction_mentions_who_reacted(self, desk: Desk) -> None:
        ticket = await desk.accepted(in_channel(user_id=9, reply_to=300))
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        sent = desk.last("send")
        assert (sent.heading, pinged(sent)) == ("<@9>", [9])
        assert sent.sent["reference"].message_id == 300


class TestTooLarge:
    async def test_over_the_known_limit_it_is_shrunk_and_said(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(in_channel(upload_limit=5_000))
        await desk.delivery.finished(job)
        result = desk.last("interaction")
        [file] = result.files
        assert file.filename == "demo-42.webp"
        assert len(file.fp.read()) <= 5_000
        assert "Sent as WebP" in result.words
        [image] = await desk.store.images(job.id)
        assert (desk.images / image.path).read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize("refused", [TOO_LARGE, http_error(413), http_error(400, 40005)])
    async def test_what_discord_finds_too_large_is_shrunk_until_it_fits(
        self, desk: Desk, refused: Exception
    ) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", refused, refused)
        await desk.delivery.finished(job)
        sizes = [
            sum(len(file.fp.read()) for file in call.files)
            for call in desk.world.calls
            if call.way == "interaction"
        ]
        assert len(sizes) == 3
        assert sizes[0] > sizes[1] > sizes[2] > 0
        assert await desk.state(job) is S.DELIVERED

    async def test_when_no_size_fits_the_words_are_sent(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(in_channel(upload_limit=100))
        await desk.delivery.finished(job)
        result = desk.last("interaction")
        assert result.files == []
        assert "too large" in result.words
        assert await desk.state(job) is S.DELIVERED

    async def test_even_words_that_are_too_large_end_the_job(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", *[TOO_LARGE] * 30)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.FAILED
