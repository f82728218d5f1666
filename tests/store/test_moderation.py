"""Acts, blocks, reports and what the owner switched off."""

import asyncio
from typing import get_args

import pytest

from bot.errors import Refused
from bot.queue.blocked import Blocked
from bot.store import EVERYWHERE, ActKind, Decision, Store
from bot.store.acts import PAGE
from bot.store.blocks import BlockKind
from catalog import EntryKind
from tests.store.factories import done, in_channel

OWNER, ANNA, BEN = "discord:1", "discord:7", "discord:8"
SERVER, ELSEWHERE = "discord:100", "discord:200"


async def untold(store: Store) -> list[tuple[ActKind, str | None, str | None]]:
    return [(act.kind, act.community, act.subject) for act in await store.acts.untold()]


async def test_an_act_is_untold_until_it_was_told(store: Store) -> None:
    woken: list[None] = []
    store.acts.on_recorded(lambda: woken.append(None))
    act_id = await store.acts.record(
        kind=ActKind.SETTING_CHANGED, actor=ANNA, community=SERVER, what="steps", value=None
    )
    [act] = await store.acts.untold()
    assert (act.id, act.actor, act.details, act.told_at) == (act_id, ANNA, {"what": "steps"}, None)
    assert woken == [None]
    assert await store.acts.untold(after=act_id) == []
    await store.acts.tell(act_id)
    assert await store.acts.untold() == []
    assert await store.acts.count_untold() == 0
    [told] = await store.acts.page(SERVER)
    assert told.told_at is not None


async def test_acts_are_read_by_server_newest_first_in_pages(store: Store) -> None:
    made = [
        await store.acts.record(kind=ActKind.WORDS_CHANGED, actor=ANNA, community=SERVER)
        for _ in range(PAGE + 2)
    ]
    own = await store.acts.record(kind=ActKind.CATALOG_RELOADED, actor=OWNER)
    first = await store.acts.page(SERVER)
    second = await store.acts.page(SERVER, before=first[-1].id)
    assert [act.id for act in (*first, *second)] == made[::-1]
    assert [act.id for act in await store.acts.page(None)] == [own]
    assert await store.acts.page(ELSEWHERE) == []


async def test_a_block_is_made_and_lifted_once(store: Store) -> None:
    blocks = store.blocks
    assert await blocks.add("person", ANNA, within=SERVER, actor=BEN)
    assert not await blocks.add("person", ANNA, within=SERVER, actor=OWNER)
    assert await blocks.add("person", ANNA, within=EVERYWHERE, actor=OWNER)
    assert await blocks.add("server", ELSEWHERE, within=EVERYWHERE, actor=OWNER)
    assert [(block.blocked, block.actor) for block in await blocks.within(SERVER)] == [(ANNA, BEN)]
    assert len(await blocks.all()) == 3
    assert await blocks.remove("person", ANNA, within=SERVER, actor=BEN)
    assert not await blocks.remove("person", ANNA, within=SERVER, actor=BEN)
    assert await blocks.within(SERVER) == []
    assert await untold(store) == [
        (ActKind.BLOCKED, SERVER, ANNA),
        (ActKind.BLOCKED, None, ANNA),
        (ActKind.BLOCKED, None, ELSEWHERE),
        (ActKind.UNBLOCKED, SERVER, ANNA),
    ]


async def test_a_person_reports_a_result_once(store: Store) -> None:
    job = await done(store, in_channel(guild_id=100))
    added = await asyncio.gather(*(store.reports.add(job, ANNA, "why") for _ in range(3)))
    assert sorted(added) == [False, False, True]
    assert await store.reports.made(job.id, ANNA)
    assert not await store.reports.made(job.id, BEN)
    [act] = await store.acts.untold()
    assert (act.kind, act.community, act.subject) == (ActKind.REPORTED, SERVER, job.id)
    report = await store.reports.find(str(act.details["report"]))
    assert report is not None
    assert (report.reporter, report.reason, report.decision) == (ANNA, "why", None)


@pytest.mark.parametrize(
    ("decision", "left"), [(Decision.DELETED, 0), (Decision.BLOCKED, 1), (Decision.DISMISSED, 1)]
)
async def test_of_two_who_decide_one_wins(store: Store, decision: Decision, left: int) -> None:
    done_job = await done(store, in_channel(guild_id=100))
    job = await store.deliver(done_job, 20, 30)
    assert job is not None
    await store.reports.add(job, ANNA, "why")
    await store.reports.add(job, BEN, "why too")
    first = await store.reports.find(str((await store.acts.untold())[0].details["report"]))
    assert first is not None
    decided = await asyncio.gather(
        *(
            store.reports.decide(first, job, decision, actor=actor, within=SERVER)
            for actor in (ANNA, BEN)
        )
    )
    assert sorted(decided) == [False, True]
    now = await store.reports.find(first.id)
    assert now is not None
    assert (now.decision, now.decided_by) == (decision, ANNA if decided[0] else BEN)
    assert await store.reports.count_open() == left
    blocked = [(ActKind.BLOCKED, SERVER, job.person)] if decision is Decision.BLOCKED else []
    assert (await untold(store))[2:] == [*blocked, (ActKind.REPORT_DECIDED, SERVER, job.id)]
    assert bool(await store.blocks.within(SERVER)) == bool(blocked)
    deleted = (await store.job(job.id)).deleted_at is not None
    assert deleted == (decision is Decision.DELETED)


async def test_the_image_of_a_blocked_person_can_be_deleted_still(store: Store) -> None:
    job = await store.deliver(await done(store, in_channel(guild_id=100)), 20, 30)
    assert job is not None
    await store.reports.add(job, ANNA, "why")
    report = await store.reports.find(str((await store.acts.untold())[0].details["report"]))
    assert report is not None

    async def decide(decision: Decision) -> bool:
        return await store.reports.decide(report, job, decision, actor=BEN, within=SERVER)

    assert await decide(Decision.BLOCKED)
    assert not await decide(Decision.DISMISSED)
    assert await decide(Decision.DELETED)
    assert not await decide(Decision.BLOCKED)
    assert (await store.job(job.id)).deleted_at is not None
    await store.personal.forgettings.refuse_message(30)
    now = await store.reports.find(report.id)
    assert now is not None
    assert (now.decision, now.shown) == (Decision.DELETED, True)


@pytest.mark.parametrize("kind", get_args(EntryKind))
async def test_an_entry_of_each_kind_can_be_disabled(store: Store, kind: EntryKind) -> None:
    assert await store.disabled_entries.disable(kind, "demo", OWNER)
    assert await store.disabled_entries.all() == [(kind, "demo")]


async def test_an_entry_is_disabled_and_enabled_once(store: Store) -> None:
    disabled = store.disabled_entries
    assert await disabled.disable("model", "demo", OWNER)
    assert not await disabled.disable("model", "demo", OWNER)
    assert await disabled.disable("adapter", "demo", OWNER)
    assert sorted(await disabled.all()) == [("adapter", "demo"), ("model", "demo")]
    assert await disabled.enable("model", "demo", OWNER)
    assert not await disabled.enable("model", "demo", OWNER)
    assert await disabled.all() == [("adapter", "demo")]
    for kind in get_args(EntryKind):
        await disabled.disable(kind, "each", OWNER)
        assert (kind, "each") in await disabled.all()
        await disabled.enable(kind, "each", OWNER)
    assert [kind for kind, *_ in await untold(store)] == [
        ActKind.ENTRY_DISABLED,
        ActKind.ENTRY_DISABLED,
        ActKind.ENTRY_ENABLED,
        *([ActKind.ENTRY_DISABLED, ActKind.ENTRY_ENABLED] * len(get_args(EntryKind))),
    ]


@pytest.mark.parametrize(
    ("kind", "blocked", "within", "refused"),
    [
        ("person", "discord:7", EVERYWHERE, "queue.blocked"),
        ("person", "discord:7", "discord:100", "queue.blocked_here"),
        ("person", "discord:7", "discord:200", None),
        ("person", "discord:100", EVERYWHERE, None),
        ("server", "discord:100", EVERYWHERE, "queue.server_blocked"),
        ("server", "discord:7", EVERYWHERE, None),
    ],
)
async def test_nothing_of_the_blocked_is_stored(
    store: Store, kind: BlockKind, blocked: str, within: str, refused: str | None
) -> None:
    await store.blocks.add(kind, blocked, within=within, actor=OWNER)
    memory = Blocked()
    memory.hold(await store.blocks.all())
    new = in_channel(user_id=7, guild_id=100)
    if refused is None:
        await store.accept(new)
        memory.check(new.origin.person, new.origin.community)
        return
    with pytest.raises(Refused) as stored:
        await store.accept(new)
    with pytest.raises(Refused) as known:
        memory.check(new.origin.person, new.origin.community)
    assert stored.value.code == known.value.code == refused
