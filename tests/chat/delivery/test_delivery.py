"""The delivery: one message per job, sent by whichever way works."""

import asyncio
import errno
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import discord
import pytest

from bot.chat.copies import AnsweredElsewhere
from bot.chat.delivery.posts import NONCE_MAX, only
from bot.chat.delivery.refusals import Refusal, refusal
from bot.chat.delivery.status import StatusBoard
from bot.progress import Notice, Progress, Stage
from bot.store import Failure, Job, JobState, Store
from bot.texts.language import Texts
from tests.chat.delivery.desk import Desk, bring, until_edited
from tests.chat.delivery.discord_fakes import (
    CHANNEL,
    DIRECT,
    Call,
    FakeChannel,
    FakeMessage,
    http_error,
)
from tests.queue.lanes import ORIGINS, queue_of
from tests.store.factories import CANARY, in_channel, new_job, origin_of, recipe, request

S = JobState
TEXTS = Texts.read()
REQUESTER = 7

GONE, FORBIDDEN, EXPIRED = http_error(404, 10008), http_error(403, 50013), http_error(401, 50027)
TOO_LARGE, AWAY, REJECTED = http_error(413, 40005), http_error(503), http_error(400, 50035)


def place(position: int) -> Progress:
    return Progress(Stage.QUEUED, position=position)


def pinged(call: Call) -> list[int]:
    """Whom a call may ping; it must be explicit, and never everyone or a role."""
    allowed = call.sent["allowed_mentions"]
    assert isinstance(allowed, discord.AllowedMentions)
    assert not allowed.everyone
    assert not allowed.roles
    assert not allowed.replied_user
    assert isinstance(allowed.users, list)
    return [user.id for user in allowed.users]


def words(embed: discord.Embed) -> str:
    """All text in an embed."""
    said = [embed.description, *(part for one in embed.fields for part in (one.name, one.value))]
    return "\n".join(part for part in said if part)


class TestAcknowledging:
    async def test_a_command_is_answered_with_the_place(self, desk: Desk) -> None:
        await desk.accepted()
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(), ticket)
        [ack] = desk.world.calls
        assert (ack.way, pinged(ack)) == ("ack", [])
        assert ack.embed.fields[0].name == "Queued, **#2** in line"
        job = await desk.store.job(ticket.job.id)
        assert (origin_of(job).channel_id, origin_of(job).message_id) == (CHANNEL, 400)

    async def test_a_deferred_command_is_answered_in_the_same_message(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        await desk.delivery.acknowledge(desk.interaction(deferred=True), ticket)
        [ack] = desk.world.calls
        assert (ack.way, pinged(ack)) == ("interaction", [])
        assert ack.embed.fields[0].name == "Up next"
        job = await desk.store.job(ticket.job.id)
        assert (origin_of(job).channel_id, origin_of(job).message_id) == (CHANNEL, 400)

    async def test_a_deferred_command_whose_message_is_gone_does_not_lose_the_job(
        self, desk: Desk
    ) -> None:
        desk.world.refuse("interaction", GONE)
        job = await desk.asked_and_painted(deferred=True)
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["interaction", "send"]
        assert await desk.state(job) is S.DELIVERED

    @pytest.mark.parametrize(
        "error",
        [
            http_error(400, 40060),  # sent twice: the first response was lost
            AWAY,
            OSError(),
            TimeoutError(),
            aiohttp.ServerDisconnectedError(),
        ],
    )
    async def test_an_acknowledgement_whose_answer_was_lost_is_edited(
        self, desk: Desk, error: Exception
    ) -> None:
        desk.world.refuse("ack", error)
        job = await desk.asked_and_painted()
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction"]
        assert await desk.state(job) is S.DELIVERED

    @pytest.mark.parametrize("error", [http_error(400, 40060), http_error(404, 10062)])
    async def test_what_another_copy_has_answered_is_not_ours(
        self, desk: Desk, error: Exception
    ) -> None:
        desk.world.refuse("ack", error)
        ticket = await desk.accepted(in_channel())
        others = SimpleNamespace(embeds=[], components=[], flags=discord.MessageFlags())
        with pytest.raises(AnsweredElsewhere):
            await desk.delivery.acknowledge(desk.interaction(answer=others), ticket)

    async def test_an_answer_that_names_our_job_is_ours(self, desk: Desk) -> None:
        desk.world.refuse("ack", http_error(400, 40060))
        ticket = await desk.accepted(in_channel())
        button = SimpleNamespace(custom_id=f"cancel:{ticket.job.id}")
        own = SimpleNamespace(embeds=[], components=[button], flags=discord.MessageFlags())
        await desk.delivery.acknowledge(desk.interaction(answer=own), ticket)
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        assert desk.world.ways() == ["ack", "interaction"]

    @pytest.mark.parametrize("error", [http_error(404, 10062)])
    async def test_a_lost_acknowledgement_does_not_lose_the_job(
        self, desk: Desk, error: Exception
    ) -> None:
        desk.world.refuse("ack", error)
        job = await desk.asked_and_painted()
        desk.delivery.progressed(job, Progress(Stage.PAINTING, step=1, steps=2))
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "send"]
        assert desk.last("send").sent["content"] == f"<@{REQUESTER}>"
        assert await desk.state(job) is S.DELIVERED

    async def test_a_reaction_is_answered_by_a_reply_that_pings_only_that_user(
        self, desk: Desk
    ) -> None:
        ticket = await desk.accepted(in_channel(user_id=9, reply_to=300))
        message = FakeMessage(desk.world, FakeChannel(desk.world, CHANNEL), 300)
        await desk.delivery.acknowledge_in_channel(ticket, cast("Any", message))
        sent = desk.last("send")
        assert (sent.sent["content"], pinged(sent)) == ("<@9>", [9])
        assert sent.sent["reference"].message_id == 300
        assert sent.sent["reference"].fail_if_not_exists is False
        assert origin_of(await desk.store.job(ticket.job.id)).message_id == sent.message_id

    async def test_a_reply_that_is_refused_raises(self, desk: Desk) -> None:
        ticket = await desk.accepted(in_channel(reply_to=300))
        message = FakeMessage(desk.world, FakeChannel(desk.world, CHANNEL), 300)
        desk.world.refuse("send", FORBIDDEN)
        with pytest.raises(discord.Forbidden):
            await desk.delivery.acknowledge_in_channel(ticket, cast("Any", message))


@pytest.mark.parametrize(
    ("count", "said"), [(1, ""), (4, "That's a lot of steps, so this could take up to 40 minutes.")]
)
async def test_a_job_of_many_steps_asks_for_patience(desk: Desk, count: int, said: str) -> None:
    board = StatusBoard(
        store=desk.store,
        texts=TEXTS,
        sender=cast("Any", None),
        gate=cast("Any", SimpleNamespace(hides=lambda _: False)),
        job_timeout=600.0,
    )
    ticket = await desk.accepted(in_channel(request=request(steps=100, count=count)))
    shown = words(board.content(ticket.job, ticket.place).embed)
    assert ("a lot of steps" in shown) == bool(said)
    assert said in shown


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
        told = replace(ticket, place=replace(place(2), ready_at=1_000))
        await desk.delivery.acknowledge(desk.interaction(), told)
        for ready_at in (1_001, 1_050, 940, 1_061):
            desk.delivery.moved({ticket.job.id: replace(place(2), ready_at=ready_at)})
            for _ in range(20):
                await asyncio.sleep(0)
        assert desk.world.ways() == ["ack", "interaction"]
        assert "<t:1061:R>" in str(desk.last("interaction").embed.fields[0].value)

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
        assert desk.last("interaction").sent["view"] is None

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


class TestTheResult:
    async def test_it_replaces_the_status(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(in_channel(request=request(count=2)))
        await desk.delivery.finished(job)
        result = desk.last("interaction")
        assert [file.filename for file in result.files] == ["demo-42-1.png", "demo-43-2.png"]
        assert {file.description for file in result.files} == {CANARY}
        for file, image in zip(result.files, await desk.store.images(job.id), strict=True):
            assert hashlib.sha256(file.fp.read()).hexdigest() == image.sha256
        assert pinged(result) == [REQUESTER]
        assert result.sent["content"] is None
        assert await desk.state(job) is S.DELIVERED
        assert origin_of(await desk.store.job(job.id)).message_id == 400
        assert desk.world.reactions == ["🔁", "🎲"]

    async def test_a_warning_is_said(self, desk: Desk) -> None:
        ticket = await desk.accepted()
        warning = Notice("adapter.partial", {"adapter": "ink", "matched": 5, "total": 9})
        await desk.delivery.finished(await desk.painted(ticket.job.id, warning))
        assert "5 of its 9 modules" in words(desk.last("send").embed)

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
        assert (sent.sent["content"], pinged(sent)) == (f"<@{REQUESTER}>", [REQUESTER])
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
            direct.sent["content"]
            == f"You asked for this in <#{CHANNEL}>, where I can no longer post it."
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
        assert (sent.sent["content"], pinged(sent)) == ("<@9>", [9])
        assert sent.sent["reference"].message_id == 300


class TestTooLarge:
    async def test_over_the_known_limit_it_is_shrunk_and_said(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(in_channel(upload_limit=5_000))
        await desk.delivery.finished(job)
        result = desk.last("interaction")
        [file] = result.files
        assert file.filename == "demo-42.webp"
        assert len(file.fp.read()) <= 5_000
        assert "Sent as WebP" in words(result.embed)
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
        assert "too large" in words(result.embed)
        assert await desk.state(job) is S.DELIVERED

    async def test_even_words_that_are_too_large_end_the_job(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        desk.world.refuse("interaction", *[TOO_LARGE] * 30)
        await desk.delivery.finished(job)
        assert await desk.state(job) is S.FAILED


class TestVerdicts:
    async def reroll_of(self, desk: Desk, parent: Job) -> Job:
        new = in_channel(
            request=parent.request, kind="reroll", parent_id=parent.id, reply_to=300, user_id=9
        )
        return await desk.painted((await desk.accepted(new)).job.id)

    async def said(self, desk: Desk, job: Job) -> str:
        await desk.delivery.finished(job)
        return words(desk.last("send").embed)

    async def test_the_same_pixels(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted(in_channel(request=request(count=2)))
        said = await self.said(desk, await self.reroll_of(desk, parent))
        assert "Identical to the original" in said

    async def test_other_pixels_for_a_known_reason(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        [image] = await desk.store.images(job.id)
        other = replace(recipe(), environment={"torch": "9.9"}, scheduler={})
        changed = await self.changed(desk, job, recipe=other, pixels="0" * 64)
        said = await self.said(desk, changed)
        assert "differ" in said
        assert "torch" in said
        assert "scheduler" in said
        assert image.sha256

    async def test_other_pixels_for_no_known_reason(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        job = await self.reroll_of(desk, parent)
        changed = await self.changed(desk, job, recipe=recipe(), pixels="0" * 64)
        assert "can't tell why" in await self.said(desk, changed)

    async def test_an_original_without_a_recipe(self, desk: Desk) -> None:
        parent = (await desk.accepted()).job
        said = await self.said(desk, await self.reroll_of(desk, parent))
        assert "can't compare" in said

    async def test_only_a_reroll_is_compared(self, desk: Desk) -> None:
        parent = await desk.asked_and_painted()
        new = in_channel(kind="vary", parent_id=parent.id, reply_to=300)
        said = await self.said(desk, await desk.painted((await desk.accepted(new)).job.id))
        assert "original" not in said

    async def changed(self, desk: Desk, job: Job, *, recipe: Any, pixels: str) -> Job:
        """As if the job had run in another way."""
        images = await desk.store.images(job.id)
        store = desk.store

        async def other(job_id: str) -> Any:
            found = await Store.images(store, job_id)
            return (
                tuple(replace(i, pixels_sha256=pixels) for i in found)
                if job_id == job.id
                else found
            )

        store.images = other  # type: ignore[method-assign]
        assert images
        return replace(job, recipe=recipe)


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
        await desk.delivery.resume(queue.standings())
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
            "disappeared from the disk" in (c.embed.description or "")
            for c in desk.world.calls
            if c.way != "reaction"
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


def page(status: int) -> discord.HTTPException:
    """An error of Cloudflare: a page, no JSON."""
    response: Any = SimpleNamespace(status=status, reason="said Cloudflare")
    return discord.HTTPException(response, "<!DOCTYPE html><title>Attention required</title>")


class TestRefusals:
    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (http_error(404, 10003), Refusal.CLOSED),
            (http_error(404, 10008), Refusal.CLOSED),
            (http_error(401, 50027), Refusal.CLOSED),
            (http_error(403, 50001), Refusal.FORBIDDEN),
            (http_error(403, 50013), Refusal.FORBIDDEN),
            (http_error(413), Refusal.TOO_LARGE),
            (http_error(400, 40005), Refusal.TOO_LARGE),
            (http_error(401), Refusal.TRANSIENT),
            (http_error(429), Refusal.TRANSIENT),
            (http_error(500), Refusal.TRANSIENT),
            (http_error(503), Refusal.TRANSIENT),
            (discord.RateLimited(1), Refusal.TRANSIENT),
            (aiohttp.ClientPayloadError(), Refusal.TRANSIENT),
            (ConnectionResetError(), Refusal.TRANSIENT),
            (TimeoutError(), Refusal.TRANSIENT),
            (http_error(400, 50035), Refusal.REJECTED),
            # The same code means the same, whatever the status.
            *((http_error(s, 50083), Refusal.FORBIDDEN) for s in (400, 403, 404)),
            *((http_error(s, 160005), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 160002), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 50007), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 50278), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 10003), Refusal.CLOSED) for s in (400, 403)),
            *((http_error(s, 10015), Refusal.CLOSED) for s in (400, 404)),
            *((http_error(s, 10062), Refusal.CLOSED) for s in (400, 404)),
            *((http_error(s, 50027), Refusal.CLOSED) for s in (400, 401, 403)),
            *((http_error(s, 40005), Refusal.TOO_LARGE) for s in (400, 403)),
            *((http_error(s, 200000), Refusal.BLOCKED) for s in (400, 403)),
            *((http_error(s, 130000), Refusal.TRANSIENT) for s in (400, 403)),
            *((http_error(s, 40333), Refusal.TRANSIENT) for s in (400, 403)),
            *((http_error(s, 30046), Refusal.BUSY) for s in (400, 429)),
            (http_error(403, 20028), Refusal.TRANSIENT),
            # Codes that are not known.
            (http_error(400, 999999), Refusal.UNKNOWN),
            (http_error(403, 999999), Refusal.FORBIDDEN),
            (http_error(404, 999999), Refusal.CLOSED),
            (http_error(409, 999999), Refusal.UNKNOWN),
            (http_error(520, 999999), Refusal.TRANSIENT),
            # Pages of what stands before Discord.
            *((page(s), Refusal.TRANSIENT) for s in (400, 403, 404, 429, 502, 520, 530)),
            (page(413), Refusal.TOO_LARGE),
            (ValueError(), None),
            (RuntimeError(), None),
        ],
    )
    def test_what_an_exception_means(self, error: Exception, meaning: Refusal | None) -> None:
        assert refusal(error) is meaning

    def test_nobody_is_pinged_unless_named(self) -> None:
        for user in (None, 0):
            assert only(user).to_dict() == {"parse": [], "users": [], "replied_user": False} or (
                only(user).to_dict().get("parse") == []
            )
        assert only(5).to_dict()["users"] == [5]
        assert only(5).to_dict()["parse"] == []

    async def test_nonces_are_short_enough_and_differ(self, desk: Desk) -> None:
        """Otherwise a result would come back as its own acknowledgement."""
        ticket = await desk.accepted(in_channel(reply_to=300))
        message = FakeMessage(desk.world, FakeChannel(desk.world, CHANNEL), 300)
        await desk.delivery.acknowledge_in_channel(ticket, cast("Any", message))
        desk.world.refuse("edit", GONE)
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        nonces = [call.sent["nonce"] for call in desk.world.calls if call.way == "send"]
        assert len(set(nonces)) == 2
        assert all(len(nonce) <= NONCE_MAX for nonce in nonces)
