"""What is deleted goes from Discord, also if Discord does not let us at first, or the bot ends."""

from functools import partial
from typing import Any

import discord
import pytest

from bot.chat.delivery import Removed
from bot.errors import Refused
from bot.store import Decision, Job, discord_person, now_ms
from bot.store.removals import BY_HAND_MS
from bot.store.sent_again import Shown
from tests.chat.delivery.desk import Desk, pinged
from tests.chat.delivery.discord_fakes import AWAY, CHANNEL, FORBIDDEN, GONE, Call, http_error
from tests.chat.delivery.test_forgotten import removal_of, remove_all
from tests.language import TEXTS
from tests.store.factories import in_channel
from tests.store.test_personal import all_rows

BUSY = http_error(400, 30046)
NOTICE = "🗑️ <@1> deleted an image"


async def deleted(desk: Desk, **fields: Any) -> Job:
    """A result of which the deletion has begun."""
    job = await desk.asked_and_painted(in_channel(**fields))
    await desk.delivery.finished(job)
    desk.world.calls.clear()
    assert await desk.store.deletions.begin(job.id)
    return await desk.store.job(job.id)


async def later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next process deletes once it is left to it."""
    desk.world.calls.clear()
    with monkeypatch.context() as patched:
        now = now_ms() + BY_HAND_MS
        patched.setattr("bot.store.personal.forgetting.now_ms", lambda: now)
        await remove_all(removal_of(desk, monkeypatch), desk)


def left(desk: Desk) -> list[tuple[object, ...]]:
    return all_rows(desk.store)["forgotten_messages"]


@pytest.mark.parametrize("reported", [False, True])
async def test_who_deleted_anothers_is_said_also_if_discord_takes_it_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, reported: bool
) -> None:
    job = await desk.asked_and_painted(in_channel(user_id=7))
    await desk.delivery.finished(job)
    moderator = discord_person(1)
    if reported:
        reports = desk.store.reports
        assert await reports.add(job, discord_person(9), "why")
        [act] = await desk.store.acts.untold()
        report = await reports.find(str(act.details["report"]))
        assert report is not None
        assert await reports.decide(
            report, job, Decision.DELETED, actor=moderator, within="discord:1"
        )
    else:
        assert await desk.store.deletions.begin(job.id, moderator=moderator)
    desk.world.refuse("edit", AWAY)
    desk.world.refuse("delete", AWAY)
    desk.world.calls.clear()
    job = await desk.store.job(job.id)
    assert await desk.delivery.afterwards.take_down(job, NOTICE) is Removed.LATER
    await later(desk, monkeypatch)
    assert [(call.way, call.message_id) for call in desk.world.calls] == [("edit", 400)]
    [said] = desk.last("edit").layout.walk_children()
    assert isinstance(said, discord.ui.TextDisplay)
    assert said.content == "🗑️ <@1> deleted an image that <@7> had requested."
    assert pinged(desk.last("edit")) == []
    assert left(desk) == []


async def test_where_that_cannot_be_said_the_message_goes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await desk.asked_and_painted(in_channel(user_id=7))
    await desk.delivery.finished(job)
    assert await desk.store.deletions.begin(job.id, moderator=discord_person(1))
    desk.world.refuse("edit", FORBIDDEN)
    await later(desk, monkeypatch)
    assert desk.world.ways() == ["edit", "delete"]
    assert left(desk) == []


@pytest.mark.parametrize("refused", [AWAY, BUSY, OSError()])
@pytest.mark.parametrize("notice", [None, NOTICE])
async def test_one_that_discord_does_not_take_now_goes_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, refused: Exception, notice: str | None
) -> None:
    job = await deleted(desk)
    for way in ("edit", "delete", "interaction", "erase"):
        desk.world.refuse(way, refused, refused)
    assert await desk.delivery.afterwards.take_down(job, notice) is Removed.LATER
    desk.world.refusals.clear()
    await remove_all(removal_of(desk, monkeypatch), desk)
    assert [row[0] for row in left(desk)] == [400], "it is left to whoever deletes it"
    await later(desk, monkeypatch)
    assert [(call.way, call.message_id) for call in desk.world.calls] == [("delete", 400)]
    assert left(desk) == []


async def test_so_does_one_whose_process_ended_before_it_was_tried(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deleted(desk)
    await later(desk, monkeypatch)
    assert [call.message_id for call in desk.world.calls] == [400]
    assert left(desk) == []


@pytest.mark.parametrize(
    ("refused", "removed"), [(None, Removed.NOW), (GONE, Removed.NOW), (FORBIDDEN, Removed.NEVER)]
)
async def test_nothing_is_left_to_do_once_it_is_gone_or_refused(
    desk: Desk, refused: Exception | None, removed: Removed
) -> None:
    job = await deleted(desk)
    desk.world.refuse("delete", refused)
    assert await desk.delivery.afterwards.take_down(job, None) is removed
    assert left(desk) == []


async def test_a_notice_in_its_place_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await deleted(desk)
    assert await desk.delivery.afterwards.take_down(job, NOTICE) is Removed.NOW
    assert desk.world.ways() == ["edit"]
    await later(desk, monkeypatch)
    assert desk.world.ways() == []


async def test_messages_that_show_it_again_go_each_on_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await desk.asked_and_painted()
    await desk.delivery.finished(job)
    for message_id in (31, 32, 33):
        await desk.store.sent_again.add(job.id, Shown(21, message_id))
    await desk.store.deletions.begin(job.id)
    desk.world.refuse("delete", AWAY, None, FORBIDDEN)
    removed = await desk.delivery.afterwards.take_down_again(await desk.store.job(job.id))
    assert removed is Removed.NEVER
    assert [row[0] for row in left(desk)] == [31, 400]
    assert [shown.message_id for shown in await desk.store.sent_again.of(job.id)] == [31, 33]
    await later(desk, monkeypatch)
    assert sorted(call.message_id for call in desk.world.calls) == [31, 400]
    assert [shown.message_id for shown in await desk.store.sent_again.of(job.id)] == [33]


@pytest.mark.parametrize("publishing", [False, True])
async def test_one_that_was_sent_while_it_was_deleted_goes_as_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, publishing: bool
) -> None:
    job = await desk.asked_and_painted(in_channel(hidden=publishing))
    await desk.delivery.finished(job)
    job = await desk.store.job(job.id)

    async def delete_meanwhile(call: Call) -> None:
        if call.way == "send":
            assert await desk.store.deletions.begin(job.id)

    desk.world.before = delete_meanwhile
    desk.world.refuse("delete", AWAY)
    afterwards, say = desk.delivery.afterwards, TEXTS.speaker()
    send = partial(afterwards.send_again, job, CHANNEL, "", say, nonce="n")
    with pytest.raises(Refused, match="deleted"):
        await (afterwards.publish(job) if publishing else send())
    desk.world.before = None
    sent = desk.last("send").message_id
    assert desk.last("delete").message_id == sent
    desk.world.calls.clear()
    await remove_all(removal_of(desk, monkeypatch), desk)
    assert [(call.way, call.message_id) for call in desk.world.calls] == [("delete", sent)]


async def test_a_published_result_is_not_gone_because_its_interaction_does_not_know_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = desk.interaction()
    ticket = await desk.accepted(in_channel(hidden=True, interaction=asked))
    await desk.delivery.acknowledge(asked, ticket)
    await desk.delivery.finished(await desk.painted(ticket.job.id))
    await desk.delivery.afterwards.publish(await desk.store.job(ticket.job.id))
    published = desk.last("send").message_id
    await desk.store.deletions.begin(ticket.job.id)
    desk.world.refuse("erase", GONE)
    await later(desk, monkeypatch)
    assert [(call.way, call.message_id) for call in desk.world.calls] == [
        ("erase", published),
        ("delete", published),
    ]


async def test_what_was_withheld_goes_from_where_its_person_has_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = desk.interaction()
    ticket = await desk.accepted(in_channel(image_check="private", interaction=asked))
    await desk.delivery.acknowledge(asked, ticket)
    await desk.store.image_checks.withhold(ticket.job, "private", "flagged")
    await desk.delivery.finished(await desk.painted(ticket.job.id))
    direct = desk.last("direct").message_id
    await desk.store.deletions.begin(ticket.job.id)
    await later(desk, monkeypatch)
    assert [(call.way, call.message_id) for call in desk.world.calls] == [("delete", direct)]
