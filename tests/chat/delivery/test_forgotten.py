"""People who are forgotten while their results are on the way, and what becomes of the messages."""

from pathlib import Path
from typing import Any, cast

import pytest

from bot.chat.delivery import Endings, Removal
from bot.chat.delivery import removal as removal_module
from bot.files.inputs import Inputs
from bot.privacy import Forgetter
from bot.store import Answer, JobState, Removable, Span, now_ms
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import Call, FakeClient, http_error
from tests.language import TEXTS
from tests.store.factories import in_channel

GONE, NO_ACCESS, EXPIRED = http_error(404, 10008), http_error(403, 50001), http_error(401, 50027)
AWAY = http_error(503)


def forgetter_of(desk: Desk, folder: Path) -> Forgetter:
    async def withdraw(job_id: str) -> None:
        raise AssertionError(job_id)  # nothing waits or runs

    forgetter = Forgetter(
        desk.store,
        images_dir=folder / "images",
        inputs=Inputs(folder / "inputs"),
        database=folder / "x.sqlite3",
        withdraw=withdraw,
        idle=lambda: True,
    )
    forgetter.wait_for(lambda: desk.delivery.sending)
    return forgetter


def removal_of(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Removal:
    async def logged_in() -> None:
        pass

    monkeypatch.setattr(removal_module, "PACE", 0)
    webhook = lambda token: cast("Any", desk.world.webhooks[token])  # noqa: E731
    return Removal(cast("Any", FakeClient(desk.world)), desk.store, TEXTS, logged_in, webhook)


async def remove_all(removal: Removal, desk: Desk) -> None:
    """What one round of the removal does."""
    while messages := await desk.store.personal.forgettings.messages(100):
        if not await removal._remove(messages):
            return


def shown(desk: Desk) -> set[int]:
    """Messages with images."""
    return {call.message_id for call in desk.world.calls if call.files}


async def test_a_result_that_is_being_posted_is_taken_down_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discord hesitates: the person is forgotten while the images are on their way to it, and the
    message that was there before is deleted, so that they come in a new one."""
    job = await desk.asked_and_painted()
    monkeypatch.setattr("bot.privacy.forgetter.DELIVERED_WITHIN_MS", -1)
    forgetter = forgetter_of(desk, tmp_path)

    async def forget_meanwhile(call: Call) -> None:
        if call.way == "send":
            await forgetter.forget(job.person, Span.everything(), hand_over=False)
            assert await forgetter.catch_up(), "it waits for the message to be known"

    desk.world.before = forget_meanwhile
    desk.world.refuse("interaction", GONE)
    desk.world.refuse("edit", GONE)
    await desk.delivery.finished(job)
    desk.world.before = None
    while await forgetter.catch_up():
        pass
    assert await desk.store.find(job.id) is None
    [message] = await desk.store.personal.forgettings.messages(9)
    assert message.message_id == desk.last("send").message_id
    assert desk.world.reactions == []
    await remove_all(removal_of(desk, monkeypatch), desk)
    assert desk.last("delete").message_id == message.message_id


async def test_nothing_is_posted_once_someone_asked_to_be_forgotten(
    desk: Desk, tmp_path: Path
) -> None:
    job = await desk.asked_and_painted()
    forgetter = forgetter_of(desk, tmp_path)
    await forgetter.forget(job.person, Span.everything(), hand_over=False)
    await desk.delivery.finished(job)
    assert desk.world.ways() == ["ack"]
    later = await desk.asked_and_painted(message_id=401)
    await desk.delivery.finished(later)
    assert await desk.state(later) is JobState.DELIVERED
    while await forgetter.catch_up():
        pass
    assert await desk.store.find(job.id) is None
    assert await desk.state(later) is JobState.DELIVERED, "it was asked for afterwards"


async def test_a_message_that_becomes_known_too_late_is_taken_down_as_well(desk: Desk) -> None:
    job = await desk.asked_and_painted()
    forgettings = desk.store.personal.forgettings

    async def erased_meanwhile(call: Call) -> None:
        request = await forgettings.begin(job.person, Span.everything(), hand_over=False)
        failed = await desk.store.cancel(job)
        assert failed is None
        await desk.store._database.write(
            lambda write: write.execute("UPDATE jobs SET state = 'delivered'")
        )
        await forgettings.erase(await forgettings.erasable(request))
        await forgettings.finish(request)

    desk.world.before = erased_meanwhile
    await desk.delivery.finished(job)
    assert {message.message_id for message in await forgettings.messages(9)} == shown(desk)


@pytest.mark.parametrize("absent", [False, True])
async def test_what_only_a_token_reaches_is_taken_down_with_it(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: bool
) -> None:
    asked = desk.interaction()
    new = in_channel(hidden=not absent, absent=absent, interaction=asked)
    ticket = await desk.accepted(new)
    await desk.delivery.acknowledge(asked, ticket)
    job = await desk.painted(ticket.job.id)
    await desk.delivery.finished(job)
    forgetter = forgetter_of(desk, tmp_path)
    await forgetter.forget(job.person, Span.everything(), hand_over=False)
    while await forgetter.catch_up():
        pass
    assert await desk.store.messages.token(job.id) is None
    await remove_all(removal_of(desk, monkeypatch), desk)
    assert desk.world.ways()[-1] == "erase"
    assert await desk.store.personal.forgettings.messages(9) == []


@pytest.mark.parametrize(("absent", "counted"), [(True, 1), (False, 0)])
async def test_what_cannot_be_taken_down_is_counted_and_told(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: bool, counted: int
) -> None:
    """Unless only its person sees it, who was told to dismiss it."""
    job = await desk.asked_and_painted(in_channel(hidden=not absent, absent=absent))
    await desk.delivery.finished(job)
    asked = desk.interaction()
    answer = Answer(asked.token, now_ms() + 60_000, "en-US")
    forgetter = forgetter_of(desk, tmp_path)
    client = cast("Any", FakeClient(desk.world))
    webhook = lambda token: cast("Any", desk.world.webhooks[token])  # noqa: E731
    endings = Endings(client, desk.store, TEXTS, forgetter.has_traces, webhook)
    await forgetter.forget(job.person, Span.everything(), hand_over=False, answer=answer)
    [request] = await desk.store.personal.forgettings.waiting()
    assert request.answer == answer
    while await forgetter.catch_up():
        pass
    desk.world.refuse("erase", EXPIRED)
    desk.world.refuse("delete", NO_ACCESS)
    await remove_all(removal_of(desk, monkeypatch), desk)
    await endings._tell(request)
    told = desk.last("interaction").sent["content"]
    assert told.startswith("Done")
    assert ("1 message with your images is still there" in told) == bool(counted)
    rows = await desk.store._database.rows("SELECT * FROM forgotten_messages")
    assert rows == []


async def test_who_cannot_be_told_there_any_more_is_told_directly(
    desk: Desk, tmp_path: Path
) -> None:
    forgetter = forgetter_of(desk, tmp_path)
    answer = Answer("gone", now_ms() - 1, "de")
    client = cast("Any", FakeClient(desk.world))
    endings = Endings(client, desk.store, TEXTS, forgetter.has_traces)
    await forgetter.forget("discord:7", Span.everything(), hand_over=False, answer=answer)
    [request] = await desk.store.personal.forgettings.waiting()
    await endings._tell(request)
    assert desk.last("direct").sent["content"].startswith("Erledigt")


async def test_one_that_discord_chokes_on_does_not_keep_the_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgettings = desk.store.personal.forgettings
    for message_id in (1, 2, 3):
        await forgettings.add_message(20, message_id)
    desk.world.refuse("delete", AWAY)  # the latest comes first
    removal = removal_of(desk, monkeypatch)
    await removal._remove(await forgettings.messages(100))
    assert [message.message_id for message in await forgettings.messages(9)] == [3]


@pytest.mark.parametrize("by_token", [True, False])
async def test_what_an_interaction_does_not_know_is_gone_only_if_nothing_else_reaches_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, by_token: bool
) -> None:
    token = desk.interaction().token
    desk.world.refuse("erase", GONE)
    desk.world.refuse("delete", NO_ACCESS)
    removal = removal_of(desk, monkeypatch)
    assert await removal._delete(Removable(20, 400, token, by_token)) is by_token
