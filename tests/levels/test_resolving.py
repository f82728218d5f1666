"""Each level only narrows what is above it; of the defaults, the nearest allowed one wins."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.levels import Caps, Level, Place, Rules, resolve
from bot.levels.fields import ChannelFields, PersonFields, ServerFields
from bot.settings.image_check import MILDEST_FIRST as CHECKS
from catalog import Allowance
from tests.parameters import examples

KEYS = ("a", "b", "c", "d")
TAGS = ("#red", "#blue")
PLACE = Place(person="discord:1", community="discord:2", channel_id=3, roles=frozenset({1, 2}))

names = st.lists(st.sampled_from((*KEYS, *TAGS)), max_size=3, unique=True).map(tuple)
roles = st.lists(st.integers(1, 4), max_size=3, unique=True).map(tuple)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


SHARED: dict[str, st.SearchStrategy[Any]] = {
    "paint": maybe(st.booleans()),
    "allow_models": names,
    "block_models": names,
    "allow_loras": names,
    "block_loras": names,
    "max_steps": maybe(st.integers(1, 100)),
    "max_megapixels": maybe(st.floats(0.05, 16)),
    "max_count": maybe(st.integers(1, 4)),
    "max_cells": maybe(st.integers(1, 16)),
    "max_upscale": maybe(st.sampled_from((1.0, 1.5, 2.0, 3.0, 4.0))),
    "roles": roles,
    "priority_roles": roles,
    "quota": maybe(st.integers(1, 50)),
    "cooldown": maybe(st.floats(0, 100)),
    "forced_negative": maybe(st.sampled_from(("ugly", "blurry"))),
    "forced_spoiler": maybe(st.booleans()),
    "buttons": maybe(st.sampled_from(("everyone", "requester"))),
    "reactions": maybe(st.booleans()),
    "image_check": maybe(st.sampled_from(CHECKS)),
    "model": maybe(st.sampled_from(KEYS)),
    "steps": maybe(st.integers(1, 100)),
    "language": maybe(st.sampled_from(("de", "fr"))),
}
channels = st.builds(ChannelFields, **SHARED)
servers = st.builds(ServerFields, **SHARED, keep_days=maybe(st.floats(1, 100)))
people = st.builds(
    PersonFields,
    model=maybe(st.sampled_from(KEYS)),
    steps=maybe(st.integers(1, 100)),
    spoiler=maybe(st.booleans()),
    ping=maybe(st.booleans()),
    private=maybe(st.booleans()),
)
caps = st.builds(
    Caps,
    buttons=st.sampled_from(("everyone", "requester")),
    ping=st.booleans(),
    keep_days=st.sampled_from((0, 7, 90)),
    priority=st.integers(0, 3),
    image_check=st.sampled_from(CHECKS),
)


def narrower(inner: Rules, outer: Rules) -> list[str]:
    """The names of what `inner` allows although `outer` does not."""
    wider = []
    for name in ("steps_max", "pixels_max", "count_max", "cells_max", "upscale_max"):
        limit, own = getattr(outer, name), getattr(inner, name)
        if limit is not None and (own is None or own > limit):
            wider.append(name)
    for name in ("models", "loras"):
        for key in KEYS:
            for tag in ("red", "blue"):
                inside: Allowance = getattr(inner, name)
                if inside.holds(key, [tag]) and not getattr(outer, name).holds(key, [tag]):
                    wider.append(name)
    keeps = outer.keep_days and (not inner.keep_days or inner.keep_days > outer.keep_days)
    strict = {
        "paint": inner.paint and not outer.paint,
        "roles": not set(outer.roles) <= set(inner.roles),
        "limits": not set(outer.limits) <= set(inner.limits),
        "forced_negative": not set(outer.forced_negative) <= set(inner.forced_negative),
        "forced_spoiler": outer.forced_spoiler and not inner.forced_spoiler,
        "buttons": outer.buttons == "requester" != inner.buttons,
        "reactions": inner.reactions and not outer.reactions,
        "ping": inner.ping and not outer.ping,
        "priority": inner.priority > outer.priority,
        "image_check": CHECKS.index(inner.image_check) < CHECKS.index(outer.image_check),
        "keep_days": bool(keeps),
    }
    return wider + [name for name, wide in strict.items() if wide]


@settings(max_examples=examples(60), deadline=None)
@given(caps, servers, channels, people)
def test_no_level_widens_what_those_above_allow(
    owner: Caps, server: ServerFields, channel: ChannelFields, person: PersonFields
) -> None:
    steps = [
        resolve(owner, place=PLACE),
        resolve(owner, server, place=PLACE),
        resolve(owner, server, channel, place=PLACE),
        resolve(owner, server, channel, person, place=PLACE),
    ]
    for outer, inner in pairwise(steps):
        assert narrower(inner, outer) == []


@settings(max_examples=examples(40), deadline=None)
@given(caps, servers, channels)
def test_limits_do_not_depend_on_which_of_two_levels_sets_them(
    owner: Caps, server: ServerFields, channel: ChannelFields
) -> None:
    """What is set twice is set once: it is the order that narrows nothing."""
    servers_own = ServerFields.model_fields.keys() - ChannelFields.model_fields.keys()
    as_channel = ChannelFields(**server.model_dump(exclude={*servers_own}))
    as_server = ServerFields(**channel.model_dump())
    one = resolve(owner, server.model_copy(update={"keep_days": None}), channel)
    other = resolve(owner, as_server, as_channel)
    assert narrower(one, other) == narrower(other, one) == []


@settings(max_examples=examples(40), deadline=None)
@given(servers, channels, people)
def test_the_nearest_default_comes_first(
    server: ServerFields, channel: ChannelFields, person: PersonFields
) -> None:
    rules = resolve(Caps(), server, channel, person)
    nearest_first = [person, channel, server]
    for name in ("model", "steps"):
        given_at = [getattr(each, name) for each in nearest_first]
        wanted = tuple(value for value in given_at if value is not None)
        assert getattr(rules.defaults, name) == wanted
        if wanted:
            levels = (Level.PERSON, Level.CHANNEL, Level.SERVER)
            first = next(n for n, value in enumerate(given_at) if value is not None)
            assert rules.source(name) is levels[first]


@settings(max_examples=examples(40), deadline=None)
@given(caps, servers, channels, people)
def test_each_value_that_is_not_the_bots_own_says_where_it_comes_from(
    owner: Caps, server: ServerFields, channel: ChannelFields, person: PersonFields
) -> None:
    rules, bare = resolve(owner, server, channel, person, PLACE), Rules()
    for name in ("paint", "buttons", "steps_max", "spoiler", "ping", "image_check", "keep_days"):
        if getattr(rules, name) != getattr(bare, name):
            assert rules.source(name) is not None, name


def test_where_a_value_comes_from() -> None:
    server, channel = ServerFields(max_steps=20, keep_days=7), ChannelFields(max_steps=30)
    rules = resolve(Caps(keep_days=90, buttons="requester"), server, channel)
    assert (rules.steps_max, rules.source("steps_max")) == (20, Level.SERVER)
    assert (rules.keep_days, rules.source("keep_days")) == (7, Level.SERVER)
    assert rules.source("buttons") is Level.OWNER
    narrowed = resolve(Caps(), server, ChannelFields(max_steps=10))
    assert narrowed.source("steps_max") is Level.CHANNEL


def test_priority_is_the_owners_to_give() -> None:
    server = ServerFields(priority_roles=(1, 2))
    assert resolve(Caps(), server).priority_of(frozenset({1})) == 0
    given = resolve(Caps(priority=2), server, ChannelFields(priority_roles=(2, 3)))
    assert [given.priority_of(frozenset({role})) for role in (1, 2, 3)] == [0, 2, 0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_steps", 0),
        ("max_upscale", 5.0),
        ("forced_negative", "__wild__"),
        ("forced_negative", "{a|b}"),
        ("loras", "a::"),
        ("size", "large"),
        ("scheduler", "Karras"),
        ("allow_models", [""]),
        ("roles", [-1]),
        ("unknown", 1),
    ],
)
def test_what_is_not_valid_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        ServerFields(**{name: value})
