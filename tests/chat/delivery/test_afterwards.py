"""Hidden results, those who waited long, and what becomes of a message later."""

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from bot.chat.delivery import Delivery, Removed
from bot.errors import Refused, StoreError
from bot.store import Failure, Job, JobState, NewJob
from tests.chat.delivery.desk import Desk, bring
from tests.chat.delivery.discord_fakes import CHANNEL, DIRECT, http_error
from tests.language import TEXTS
from tests.store.factories import CANARY, in_channel, origin_of

EXPIRED, FORBIDDEN = http_error(401, 50027), http_error(403, 50007)


def hidden(**fields: Any) -> NewJob:
    return in_channel(hidden=True, **fields)


class TestHidden:
    async def test_only_the_person_sees_progress_and_result(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        ack = desk.last("ack")
        assert ack.sent["ephemeral"] is True
        assert "Only you can see this" in str(ack.embed.to_dict())
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction"]
        assert desk.world.reactions == []
        offered = desk.last("interaction").layout.walk_children()
        assert any("publish:" in str(getattr(one, "custom_id", "")) for one in offered)

    async def test_after_its_interaction_it_comes_as_a_direct_message(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        desk.world.refuse("interaction", EXPIRED)
        await desk.delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "direct"]
        assert desk.world.reactions == [], "they would not work there"
        direct = desk.last("direct")
        assert str(direct.heading).startswith(f"You asked for this in <#{CHANNEL}>, hidden")
        delivered = await desk.store.job(job.id)
        assert (delivered.state, origin_of(delivered).channel_id) == (JobState.DELIVERED, DIRECT)

    async def test_it_is_never_sent_to_the_channel(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("direct", FORBIDDEN)
        await desk.delivery.finished(job)
        assert {"send", "edit"}.isdisjoint(desk.world.ways())
        failed = await desk.store.job(job.id)
        assert (failed.state, failed.error) == (JobState.FAILED, Failure("delivery.hidden", {}))
        assert await desk.store.images(job.id)

    async def test_nor_after_a_restart(self, desk: Desk) -> None:
        job = await desk.painted((await desk.accepted(hidden())).job.id)
        await bring(desk.restarted(), [job])
        assert desk.world.ways() == ["direct"]

    async def test_publishing_shows_it_once(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        await desk.delivery.finished(job)
        job = await desk.store.job(job.id)
        desk.world.refuse("send", FORBIDDEN)
        with pytest.raises(Refused, match="forbidden"):
            await desk.delivery.afterwards.publish(job)
        assert origin_of(await desk.store.job(job.id)).hidden
        await desk.delivery.afterwards.publish(job)
        shown = await desk.store.job(job.id)
        assert not origin_of(shown).hidden
        assert origin_of(shown).message_id == desk.last("send").message_id
        with pytest.raises(Refused, match="twice"):
            await desk.delivery.afterwards.publish(shown)
        assert desk.world.ways().count("send") == 2


class TestPublishing:
    async def test_the_message_says_whose_it_is_and_pings_nobody(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        await desk.delivery.finished(job)
        await desk.delivery.afterwards.publish(await desk.store.job(job.id))
        shown = desk.last("send")
        assert shown.heading == "<@7>"
        assert shown.sent["allowed_mentions"].users == []

    async def test_files_that_are_too_large_are_sent_smaller(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        await desk.delivery.finished(job)
        desk.world.refuse("send", http_error(413, 40005), http_error(413, 40005))
        await desk.delivery.afterwards.publish(await desk.store.job(job.id))
        sent = [call for call in desk.world.calls if call.way == "send"]
        assert len(sent) == 3
        assert "WebP" in sent[-1].words
        assert not origin_of(await desk.store.job(job.id)).hidden

    @pytest.mark.parametrize("error", [aiohttp.ClientOSError(), TimeoutError(), http_error(503)])
    async def test_while_discord_is_away_it_stays_hidden(
        self, desk: Desk, error: Exception
    ) -> None:
        job = await desk.asked_and_painted(hidden())
        await desk.delivery.finished(job)
        desk.world.refuse("send", error)
        with pytest.raises(Refused, match="away"):
            await desk.delivery.afterwards.publish(await desk.store.job(job.id))
        assert origin_of(await desk.store.job(job.id)).hidden


class TestShowingAgain:
    async def test_a_message_that_cannot_be_noted_does_not_stay(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = await desk.asked_and_painted()
        await desk.delivery.finished(job)
        job = await desk.store.job(job.id)

        async def refused(*_: object) -> bool:
            raise StoreError("the disk is full")

        monkeypatch.setattr(desk.store.sent_again, "add", refused)
        say = TEXTS.speaker()
        with pytest.raises(StoreError):
            await desk.delivery.afterwards.send_again(job, CHANNEL, "again", say, nonce="n")
        assert desk.world.ways()[-2:] == ["send", "delete"]
        assert desk.last("delete").message_id == desk.last("send").message_id


def patient(desk: Desk, ping_after: float) -> Delivery:
    """A delivery that has been running for longer than any job of the tests."""
    delivery = desk.restarted(ping_after=ping_after)
    delivery._follow_ups._started_at = 0
    return delivery


async def waited(desk: Desk, delivery: Delivery, minutes: float) -> Job:
    """A job that was acknowledged so long ago, and is painted now."""
    ticket = await desk.accepted()
    message_id = desk.world.new_id()
    await delivery.acknowledge(desk.interaction(message_id=message_id), ticket)
    job = await desk.painted(ticket.job.id)
    return replace(job, created_at=job.created_at - round(minutes * 60_000))


class TestWaitingLong:
    """An edit notifies no one, so those who waited long are mentioned in a reply, once."""

    async def test_in_the_queue(self, desk: Desk) -> None:
        delivery = patient(desk, 2)
        for minutes, ways in ((1, ["ack", "interaction"]), (3, ["ack", "interaction", "send"])):
            desk.world.calls.clear()
            await delivery.finished(await waited(desk, delivery, minutes))
            assert desk.world.ways() == ways
        told = desk.last("send")
        assert told.sent["content"] == "<@7> Your image is ready."
        assert [user.id for user in told.sent["allowed_mentions"].users] == [7]
        assert told.sent["reference"].message_id == desk.last("ack").message_id

    async def test_through_a_restart(self, desk: Desk) -> None:
        delivery = patient(desk, 60)
        job = await waited(desk, delivery, 0)
        delivery._follow_ups._started_at = job.created_at + 1
        await delivery.finished(job)
        assert desk.last("send").sent["content"] == "<@7> Your image is ready."

    async def test_not_where_a_new_message_mentions_them_anyway(self, desk: Desk) -> None:
        delivery = patient(desk, 2)
        job = await waited(desk, delivery, 5)
        desk.world.refuse("interaction", EXPIRED)
        desk.world.refuse("edit", http_error(404, 10008))
        await delivery.finished(job)
        assert desk.world.ways() == ["ack", "interaction", "edit", "send"]

    async def test_nor_if_the_owner_turned_it_off(self, desk: Desk) -> None:
        delivery = patient(desk, 0)
        await delivery.finished(await waited(desk, delivery, 50))
        assert desk.world.ways() == ["ack", "interaction"]

    async def test_a_refused_one_changes_nothing(self, desk: Desk) -> None:
        delivery = patient(desk, 2)
        job = await waited(desk, delivery, 5)
        desk.world.refuse("send", FORBIDDEN)
        await delivery.finished(job)
        assert await desk.state(job) is JobState.DELIVERED
        assert desk.world.reactions == ["🔁", "🎲"]


class TestTakingDown:
    async def test_the_message_goes_or_says_who_did_it(self, desk: Desk) -> None:
        for notice in (None, "🗑️ <@1> deleted an image"):
            job = await desk.asked_and_painted(message_id=desk.world.new_id())
            await desk.delivery.finished(job)
            await desk.store.messages.erase_token(job.id)
            desk.world.calls.clear()
            job = await desk.store.job(job.id)
            assert await desk.delivery.afterwards.take_down(job, notice) is Removed.NOW
            assert desk.world.ways() == ["delete" if notice is None else "edit"]
        call = desk.last("edit")
        assert call.words == "🗑️ <@1> deleted an image"
        assert not call.files
        assert CANARY not in call.words

    async def test_one_that_is_gone_already_counts_as_down(self, desk: Desk) -> None:
        job = await desk.asked_and_painted()
        await desk.delivery.finished(job)
        await desk.store.messages.erase_token(job.id)
        desk.world.refuse("delete", http_error(404, 10008))
        job = await desk.store.job(job.id)
        assert await desk.delivery.afterwards.take_down(job, None) is Removed.NOW

    async def test_a_hidden_one_cannot_be_reached_later(self, desk: Desk) -> None:
        job = await desk.asked_and_painted(hidden())
        await desk.delivery.finished(job)
        await desk.store.messages.erase_token(job.id)
        job = await desk.store.job(job.id)
        assert await desk.delivery.afterwards.take_down(job, None) is Removed.NEVER
