"""Starting over: what no longer counts towards limits, where, and for how long."""

import sqlite3
import time
from pathlib import Path

import pytest

from bot.store import EVERYWHERE, ActKind, Job, Span, Store, resets
from bot.store.usage import DAY, Usage
from tests.store.factories import done, new_job, request
from tests.store.test_moderation import BEN, untold
from tests.store.test_personal import all_rows, execute, forget

WHO, OTHER = 1_234_567_890_123_456_789, 8
PERSON = f"discord:{WHO}"
HERE, THERE = "discord:100", "discord:200"


async def ask(store: Store, guild: int | None = 100, *, count: int = 1, user: int = WHO) -> Job:
    asked_for = request(count=count)
    channel = (guild or 0) + 1
    new = new_job(request=asked_for, user_id=user, guild_id=guild, channel_id=channel)
    delivered = await store.deliver(await done(store, new), channel, time.time_ns())
    assert delivered is not None
    return delivered


async def usage(store: Store, user: int = WHO) -> Usage:
    return await store.usage(f"discord:{user}", time.time())


def counts(found: Usage) -> tuple[int, ...]:
    """Images everywhere, in the two servers, and in a channel of the first."""
    within = (len(found.within(place).images) for place in (HERE, THERE, 101))
    return len(found.images), *within


async def test_the_limits_of_one_server_begin_anew_and_no_others(store: Store) -> None:
    for guild, count in ((100, 2), (200, 1), (None, 4)):
        await ask(store, guild, count=count)
    await ask(store, user=OTHER)
    assert counts(await usage(store)) == (7, 2, 1, 2)
    assert await store.resets.reset(PERSON, within=HERE, actor=BEN)
    found = await usage(store)
    assert counts(found) == (7, 0, 1, 0)
    assert found.within(HERE).asked_at is None
    assert found.asked_at is not None
    assert len((await usage(store, OTHER)).images) == 1
    await ask(store, count=3)
    assert counts(await usage(store)) == (10, 3, 1, 3)
    assert await untold(store) == [(ActKind.QUOTA_RESET, HERE, PERSON)]


async def test_all_limits_begin_anew(store: Store) -> None:
    for guild in (100, 200, None):
        await ask(store, guild)
    await store.cancel(await store.accept(new_job(user_id=WHO)))
    assert await store.resets.reset(PERSON, within=EVERYWHERE, actor=BEN)
    found = await usage(store)
    assert counts(found) == (0, 0, 0, 0)
    assert found.asked_at is None
    await ask(store, 200)
    assert counts(await usage(store)) == (1, 0, 1, 0)
    assert await untold(store) == [(ActKind.QUOTA_RESET, None, PERSON)]


async def test_where_nothing_counts_nothing_is_done_or_told(store: Store) -> None:
    await ask(store, 200)
    await ask(store, user=OTHER)
    assert not await store.resets.reset(PERSON, within=HERE, actor=BEN)
    for within, done_so in ((THERE, True), (THERE, False), (EVERYWHERE, True)):
        assert await store.resets.reset(PERSON, within=within, actor=BEN) is done_so
    for within in (THERE, EVERYWHERE):
        assert not await store.resets.reset(PERSON, within=within, actor=BEN)
    assert len(await store.acts.untold()) == 2


@pytest.mark.parametrize("within", [HERE, EVERYWHERE])
async def test_it_survives_a_restart_and_changes_no_request(
    store: Store, tmp_path: Path, within: str
) -> None:
    await ask(store, count=2)
    before = all_rows(store)
    await store.resets.reset(PERSON, within=within, actor=BEN)
    after = all_rows(store)
    assert {name for name in after if after[name] != before[name]} == {"quota_resets", "acts"}
    async with Store.open(store._database.path) as again:
        assert (await usage(again)).within(HERE).images == ()


@pytest.mark.parametrize("ahead", [-2 * DAY, -60, 60, 2 * DAY])
@pytest.mark.parametrize("within", [HERE, EVERYWHERE])
async def test_a_wrong_clock_gives_back_no_more_than_was_used(
    store: Store, monkeypatch: pytest.MonkeyPatch, within: str, ahead: int
) -> None:
    """Wherever the clock stands at the reset, what is asked for after it counts."""
    await ask(store, count=2)
    right = time.time()
    with monkeypatch.context() as wrong:
        wrong.setattr("bot.store.resets.now_ms", lambda: int((right + ahead) * 1000))
        await store.resets.reset(PERSON, within=within, actor=BEN)
    for asked in range(1, 4):
        await ask(store)
        before = 0 if ahead < DAY else 2  # older than a day by then, so that it was not given back
        assert len((await usage(store)).within(HERE).images) == asked + before


async def test_what_is_given_back_is_not_given_back_again(store: Store) -> None:
    job = await store.accept(new_job(request=request(count=2), user_id=WHO, guild_id=100))
    await store.resets.reset(PERSON, within=EVERYWHERE, actor=BEN)
    await ask(store)
    await store.cancel(job)
    assert len((await usage(store)).images) == 1


@pytest.mark.parametrize(("within", "left"), [(EVERYWHERE, (0, 0, 0, 0)), (HERE, (3, 0, 1, 0))])
@pytest.mark.parametrize("forgotten_first", [False, True])
async def test_what_was_forgotten_starts_over_as_well(
    store: Store, within: str, left: tuple[int, ...], forgotten_first: bool
) -> None:
    await ask(store, count=2)
    await ask(store, 200)
    if forgotten_first:
        await forget(store)
        assert counts(await usage(store)) == (3, 2, 1, 2)
    assert await store.resets.reset(PERSON, within=within, actor=BEN)
    if not forgotten_first:
        await forget(store)
        assert all_rows(store)["quota_resets"] == []
    assert counts(await usage(store)) == left
    assert await store.resets.reset(PERSON, within=within, actor=BEN) is False


async def test_it_is_exported_and_kept_for_no_longer_than_it_matters(store: Store) -> None:
    old, new = await ask(store), await ask(store)
    await store.resets.reset(PERSON, within=HERE, actor=BEN)
    rest = await store.personal.rest(PERSON, Span.everything())
    assert sorted(row["job_id"] for row in rest["quota_resets"]) == sorted((old.id, new.id))
    execute(store, "UPDATE jobs SET created_at = created_at - ? WHERE id = ?", DAY * 1000, old.id)
    await ask(store, user=OTHER)
    await store.resets.reset(f"discord:{OTHER}", within=HERE, actor=BEN)
    rows = all_rows(store)["quota_resets"]
    assert (old.id, HERE) not in rows
    assert (new.id, HERE) in rows


async def test_a_failed_write_gives_nothing_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(store, count=2)
    await forget(store)
    before = counts(await usage(store))

    def failing(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(resets, "insert_act", failing)
    with pytest.raises(sqlite3.OperationalError):
        await store.resets.reset(PERSON, within=EVERYWHERE, actor=BEN)
    assert counts(await usage(store)) == before


async def test_what_was_forgotten_and_is_older_than_a_day_is_nothing_to_reset(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(store)
    await forget(store)
    tomorrow = int((time.time() + DAY + 60) * 1000)
    monkeypatch.setattr("bot.store.resets.now_ms", lambda: tomorrow)
    for within in (HERE, EVERYWHERE):
        assert not await store.resets.reset(PERSON, within=within, actor=BEN)
    assert await untold(store) == []


async def test_nothing_is_remembered_of_who_started_over(store: Store) -> None:
    await ask(store)
    await forget(store)
    await ask(store)
    assert PERSON in store.resets._spent._rows
    assert await store.resets.reset(PERSON, within=EVERYWHERE, actor=BEN)
    assert store.resets._spent._rows == {}
