"""Saved presets: whose they are, which names are taken, how many there may be."""

import pytest

from bot.request import Options
from bot.store import ActKind, Store
from bot.store.presets import OWN_MAX, Kept

ADA, BEA, SERVER, OTHER = "discord:7", "discord:8", "discord:1", "discord:2"
MOODY = Options(model="second", lora="ember:0.5", guidance=6.5, prompt="{prompt}, „Nebel“")


async def names(store: Store, person: str, community: str | None) -> list[tuple[str, bool]]:
    found = await store.presets.of(person, community)
    return [(each.name, each.community is not None) for each in found]


async def test_a_preset_comes_back_as_it_was_saved(store: Store) -> None:
    assert await store.presets.save(ADA, "Moody", MOODY) is Kept.SAVED
    found = await store.presets.own(ADA, "moody")
    assert found is not None
    assert (found.named.options, found.named.name) == (MOODY, "Moody")
    assert (found.person, found.community) == (ADA, None)


async def test_each_sees_their_own_then_the_servers(store: Store) -> None:
    await store.presets.save(ADA, "Zebra", MOODY)
    await store.presets.save(ADA, "apple", MOODY)
    await store.presets.save(BEA, "apple", MOODY)
    await store.presets.save(ADA, "apple", MOODY, community=SERVER)
    await store.presets.save(BEA, "there", MOODY, community=OTHER)
    own = [("apple", False), ("Zebra", False)]
    assert await names(store, ADA, SERVER) == [*own, ("apple", True)]
    assert await names(store, ADA, OTHER) == [*own, ("there", True)]
    assert await names(store, ADA, None) == own
    assert await names(store, BEA, SERVER) == [("apple", False), ("apple", True)]
    assert await store.presets.shared(OTHER, "apple") is None
    assert await store.presets.own(BEA, "zebra") is None


@pytest.mark.parametrize("name", ["moody", "MOODY", "Moódy"])
async def test_a_name_is_taken_whatever_its_case_and_accents(store: Store, name: str) -> None:
    await store.presets.save(ADA, "Moody", MOODY)
    assert await store.presets.save(ADA, name, Options(steps=9)) is Kept.TAKEN
    assert await store.presets.save(BEA, name, Options(steps=9)) is Kept.SAVED
    assert await store.presets.save(ADA, name, Options(steps=9), replace=True) is Kept.SAVED
    [only] = await store.presets.of(ADA, None)
    assert (only.name, only.options) == (name, Options(steps=9))


async def test_there_may_be_so_many_and_one_can_still_be_replaced(store: Store) -> None:
    for number in range(OWN_MAX):
        assert await store.presets.save(ADA, f"no {number}", MOODY) is Kept.SAVED
    assert await store.presets.save(ADA, "one more", MOODY) is Kept.FULL
    assert await store.presets.save(ADA, "no 7", Options(), replace=True) is Kept.SAVED
    assert await store.presets.save(ADA, "no 7", MOODY, community=SERVER) is Kept.SAVED
    assert len(await store.presets.of(ADA, None)) == OWN_MAX


async def test_what_is_deleted_is_gone_and_only_that(store: Store) -> None:
    await store.presets.save(ADA, "moody", MOODY)
    await store.presets.save(ADA, "moody", MOODY, community=SERVER)
    own = await store.presets.own(ADA, "moody")
    assert own is not None
    assert await store.presets.delete(own, ADA)
    assert not await store.presets.delete(own, ADA)
    assert await names(store, ADA, SERVER) == [("moody", True)]


async def test_what_is_done_to_a_servers_preset_is_an_act_that_stands_or_falls_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    store.acts.on_recorded(lambda: told.append("told"))
    await store.presets.save(ADA, "moody", MOODY)
    await store.presets.save(ADA, "moody", MOODY, community=SERVER)
    assert await store.presets.save(BEA, "moody", MOODY, community=SERVER) is Kept.TAKEN
    shared = await store.presets.shared(SERVER, "moody")
    assert shared is not None
    with monkeypatch.context() as patched:
        patched.setattr("bot.store.presets.insert_act", broken)
        with pytest.raises(RuntimeError):
            await store.presets.save(ADA, "other", MOODY, community=SERVER)
        with pytest.raises(RuntimeError):
            await store.presets.delete(shared, BEA)
    assert await names(store, BEA, SERVER) == [("moody", True)]
    assert [await store.presets.delete(shared, BEA) for _ in range(2)] == [True, False]
    acts = await store.acts.page(SERVER)
    assert [(act.kind, act.actor, act.subject) for act in acts] == [
        (ActKind.PRESET_DELETED, BEA, "moody"),
        (ActKind.PRESET_SHARED, ADA, "moody"),
    ]
    assert told == ["told"] * 2


def broken(*_: object) -> None:
    raise RuntimeError("the disk is full")
