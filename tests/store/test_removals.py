"""Messages to delete on Discord: noted with what they show, and kept until they are gone."""

from pathlib import Path
from typing import Any

import pytest

from bot.store import Decision, Job, Removable, Span, Store, now_ms
from bot.store.removals import BY_HAND_MS
from bot.store.sent_again import Shown
from tests.store.factories import done, in_channel
from tests.store.test_personal import all_rows

ANNA, SERVER = "discord:1", "discord:100"
AGAIN = [Shown(21, 31), Shown(22, 32)]


async def shown(store: Store, message_id: int = 30, **fields: Any) -> Job:
    """A result with two messages that show it again."""
    job = await store.deliver(await done(store, in_channel(guild_id=100, **fields)), 20, message_id)
    assert job is not None
    for each in AGAIN:
        assert await store.sent_again.add(job.id, each)
    return job


async def due(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[Removable]:
    """What the bot deletes by itself a minute from now."""
    later = now_ms() + BY_HAND_MS
    with monkeypatch.context() as patched:
        patched.setattr("bot.store.personal.forgetting.now_ms", lambda: later)
        return await store.personal.forgettings.messages(9)


def ids(messages: list[Removable]) -> list[int]:
    return sorted(message.message_id for message in messages)


async def test_those_of_a_deleted_result_are_left_to_who_deletes_it_and_outlive_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        job = await shown(store)
        assert await store.deletions.begin(job.id)
        assert not await store.deletions.begin(job.id)
        assert await store.personal.forgettings.messages(9) == []
    async with Store.open(tmp_path / "x.sqlite3") as store:
        assert ids(await due(store, monkeypatch)) == [30, 31, 32]
        for message_id in (30, 31, 32):
            await store.personal.forgettings.drop_message(message_id)
        assert await due(store, monkeypatch) == []
        assert await store.sent_again.of(job.id) == []


async def test_a_result_that_cannot_be_deleted_keeps_its_messages(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await done(store, in_channel())
    await store.messages.set(job.id, 20, 30)
    assert not await store.deletions.begin(job.id)
    assert await due(store, monkeypatch) == []


@pytest.mark.parametrize(
    ("fields", "token"),
    [({}, "t"), ({"hidden": True}, "t"), ({"hidden": True, "withheld": "shown"}, None)],
)
async def test_the_token_goes_with_it_if_it_reaches_the_message(
    store: Store, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], token: str | None
) -> None:
    job = await shown(store, **fields)
    await store._database.write(
        lambda write: write.execute(
            "INSERT INTO tokens VALUES (?, 't', ?)", (job.id, now_ms() + 10**6)
        )
    )
    await store.deletions.begin(job.id)
    own = next(each for each in await due(store, monkeypatch) if each.message_id == 30)
    assert (own.token, own.by_token) == (token, bool(fields))


@pytest.mark.parametrize(("channels", "expected"), [((), [30, 31, 32]), ((22, 20), [32])])
async def test_a_report_notes_those_that_its_decision_is_about(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    channels: tuple[int, ...],
    expected: list[int],
) -> None:
    job = await shown(store)
    await store.reports.add(job, ANNA, "why")
    report = await store.reports.find(str((await store.acts.untold())[0].details["report"]))
    assert report is not None
    assert await store.reports.decide(
        report, job, Decision.DELETED, actor=ANNA, within=SERVER, channels=channels
    )
    assert ids(await due(store, monkeypatch)) == expected
    assert bool((await store.job(job.id)).deleted_at) is not bool(channels)
    # That Discord keeps one is said where it was decided.
    await store.personal.forgettings.refuse_message(32)
    decided = await store.reports.find(report.id)
    assert decided is not None
    assert decided.shown
    assert all_rows(store)["forgotten_messages"] == [
        row for row in all_rows(store)["forgotten_messages"] if row[0] != 32
    ]


async def test_where_it_is_shown_again_it_is_taken_down_for_a_moderator(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await shown(store)
    await store.deletions.begin_elsewhere(job, {21}, moderator=ANNA, community="discord:200")
    assert ids(await due(store, monkeypatch)) == [31]
    assert (await store.job(job.id)).deleted_at is None
    [act] = await store.acts.untold()
    assert (act.kind, act.actor, act.community) == ("result_deleted", ANNA, "discord:200")
    assert (act.subject, act.details) == (job.id, {"owner": job.person})


async def test_whoever_is_forgotten_waits_for_those_that_were_to_go_anyway(store: Store) -> None:
    """They are due at once then, and one that stays is counted."""
    job = await shown(store)
    await store.deletions.begin(job.id)
    forgettings = store.personal.forgettings
    asked = await forgettings.begin(job.person, Span.everything(), hand_over=False)
    await forgettings.erase(await forgettings.erasable(asked), asked=asked.id)
    assert ids(await forgettings.messages(9)) == [30, 31, 32]
    assert await forgettings.outcome(asked.id) == (3, 0)
    await forgettings.refuse_message(30)
    assert await forgettings.outcome(asked.id) == (2, 1)
