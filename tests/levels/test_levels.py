"""Levels are read once, changed field by field, and survive what is stored wrongly."""

import asyncio
import json

import pytest

from bot.levels import Caps, Level, Levels, Place
from bot.store import CommandLine, Discord, Store

PLACE = Place(person="discord:1", community="discord:2", channel_id=3)


@pytest.fixture
def levels(store: Store) -> Levels:
    return Levels(store, Caps())


async def test_what_is_set_holds_there_and_nowhere_else(store: Store, levels: Levels) -> None:
    await levels.change(Level.SERVER, PLACE, {"max_steps": 40, "allow_models": ("a", "#red")})
    await levels.change(Level.CHANNEL, PLACE, {"max_steps": 20})
    await levels.change(Level.PERSON, PLACE, {"steps": 30})
    for reading in (levels, Levels(store)):  # from memory, and from the disk
        rules = await reading.rules(PLACE)
        assert (rules.steps_max, rules.defaults.steps) == (20, (30,))
        assert rules.models.allow == (frozenset({"a", "#red"}),)
        elsewhere = Place(person="discord:9", community="discord:2", channel_id=4)
        assert (await reading.rules(elsewhere)).steps_max == 40
        direct = await reading.rules(Place(person="discord:1"))
        assert (direct.steps_max, direct.defaults.steps) == (None, (30,))


async def test_two_managers_do_not_overwrite_each_other(store: Store, levels: Levels) -> None:
    fields = {"max_steps": 40, "max_count": 2, "max_cells": 4, "paint": False, "quota": 9}
    await asyncio.gather(
        *(Levels(store).change(Level.SERVER, PLACE, {name: fields[name]}) for name in fields)
    )
    seen = await Levels(store).seen_from(Level.SERVER, PLACE)
    assert seen.server.model_dump(exclude_none=True, include=set(fields)) == fields


async def test_a_change_says_what_was_before_and_none_resets(levels: Levels) -> None:
    await levels.change(Level.SERVER, PLACE, {"max_steps": 40, "roles": (7,)})
    change = await levels.change(Level.SERVER, PLACE, {"max_steps": None, "roles": ()})
    assert (change.before, change.after) == ({"max_steps": 40, "roles": [7]}, {})
    assert await levels.rules(PLACE) == await Levels(levels._store).rules(PLACE)
    assert (await levels.rules(PLACE)).roles == ()


async def test_a_read_that_a_change_overtakes_is_not_kept(store: Store, levels: Levels) -> None:
    stored, read = asyncio.Event(), store.levels.of

    async def slow(keys: list[tuple[str, str]]) -> object:
        found = await read(keys)
        await stored.wait()
        return found

    store.levels.of = slow  # type: ignore[method-assign, assignment]
    reading = asyncio.create_task(levels.rules(PLACE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await levels.change(Level.SERVER, PLACE, {"max_steps": 40})
    stored.set()
    assert (await reading).steps_max == 40
    assert (await levels.rules(PLACE)).steps_max == 40


async def test_what_is_stored_wrongly_is_logged_and_the_rest_holds(
    store: Store, levels: Levels, caplog: pytest.LogCaptureFixture
) -> None:
    await levels.change(Level.SERVER, PLACE, {"max_steps": 40})
    wrong = json.dumps({"max_steps": 40, "max_count": "canary", "of_tomorrow": 1})
    await store._database.write(
        lambda write: write.execute("UPDATE level_settings SET settings = ?", (wrong,))
    )
    rules = await Levels(store).rules(PLACE)
    assert (rules.steps_max, rules.count_max) == (40, None)
    assert "max_count, of_tomorrow" in caplog.text
    assert "canary" not in caplog.text


async def test_a_job_has_the_rules_of_its_origin(levels: Levels) -> None:
    await levels.change(Level.CHANNEL, PLACE, {"max_steps": 20})
    asked = Discord(user_id=1, guild_id=2, channel_id=99, parent_channel_id=3)
    assert (await levels.rules_of(asked)).steps_max == 20
    assert (await levels.rules_of(CommandLine())).steps_max is None


async def test_forgetting_a_person(store: Store, levels: Levels) -> None:
    await levels.change(Level.PERSON, PLACE, {"negative": "canary"})
    await levels.forget(Level.PERSON, PLACE)
    assert (await levels.rules(PLACE)).defaults.negative == ()
    assert await store.levels.of([("person", "discord:1")]) == {}


async def test_a_place_without_a_server_has_no_server_settings(levels: Levels) -> None:
    with pytest.raises(ValueError, match="not a level"):
        await levels.change(Level.SERVER, Place(person="discord:1"), {"paint": False})


async def test_what_is_named_to_all_is_allowed_by_every_server_and_channel(
    store: Store, levels: Levels
) -> None:
    assert (await levels.models_everywhere()).everything
    other = Place(person="discord:1", community="discord:4", channel_id=5)
    await levels.change(Level.SERVER, PLACE, {"allow_models": ("a", "b"), "max_steps": 40})
    await levels.change(Level.CHANNEL, other, {"block_models": ("a", "#red")})
    await levels.change(Level.CHANNEL, PLACE, {"allow_models": ("b", "c"), "loras": "x:1"})
    await levels.change(Level.PERSON, PLACE, {"model": "d"})
    await levels.change(Level.SERVER, other, {"max_steps": 9})
    for reading in (levels, Levels(store)):  # from memory, and from the disk
        allowed = await reading.models_everywhere()
        assert {*allowed.allow} == {frozenset({"a", "b"}), frozenset({"b", "c"})}
        assert allowed.block == {"a", "#red"}
    await levels.change(Level.CHANNEL, other, {"block_models": ()})
    assert (await levels.models_everywhere()).block == frozenset()
    await levels.forget(Level.SERVER, PLACE)
    assert (await levels.models_everywhere()).allow == (frozenset({"b", "c"}),)


async def test_a_list_that_a_change_overtakes_is_not_kept(store: Store, levels: Levels) -> None:
    go, read = asyncio.Event(), store.levels.listing

    async def slow(names: tuple[str, ...]) -> object:
        found = await read(names)
        await go.wait()
        return found

    store.levels.listing = slow  # type: ignore[method-assign, assignment]
    reading = asyncio.create_task(levels.models_everywhere())
    await asyncio.sleep(0.05)
    await levels.change(Level.SERVER, PLACE, {"block_models": ("a",)})
    go.set()
    await reading
    assert (await levels.models_everywhere()).block == {"a"}
