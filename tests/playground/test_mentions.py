"""Which users a message pings."""

from typing import Any

import pytest

from playground.accounts import Member, Role
from playground.mentions import pinged
from playground.state import Channel, ChannelType, Guild
from playground.world import World

Json = dict[str, Any]


@pytest.fixture
def place() -> tuple[World, Channel]:
    world = World()
    guild = Guild(
        10, "g", world.owner.id, roles={10: Role(10, "@everyone", 0), 11: Role(11, "r", 0)}
    )
    guild.roles[12] = Role(12, "open", 0, mentionable=True)
    for account in (world.owner, world.bot):
        guild.members[account.id] = Member(account, 0.0)
    return world, Channel(1, ChannelType.TEXT, "c", guild=guild)


NOTHING: Json = {"parse": []}


@pytest.mark.parametrize(
    ("said", "allowed", "expected"),
    [
        ("<@{owner}> <@!{owner}>", None, {"owner"}),
        ("`<@{owner}>` ```\n<@{owner}>```", None, set()),
        ("<@999>", None, set()),
        ("<@{owner}>", NOTHING, set()),
        ("<@{owner}>", {}, set()),
        ("<@{owner}>", {"parse": ["users"]}, {"owner"}),
        ("<@{owner}>", {"parse": ["roles", "everyone"]}, set()),
        ("<@{owner}>", {"parse": [], "users": ["{owner}"]}, {"owner"}),
        ("<@{owner}>", {"parse": [], "users": ["5"]}, set()),
        ("nobody named", {"parse": [], "users": ["{owner}"]}, set()),
        ("<@&11>", None, set()),
        ("<@&12>", None, {"12"}),
        ("<@&12>", NOTHING, set()),
        ("<@&12>", {"roles": ["12"]}, {"12"}),
        ("@everyone @here", None, set()),
    ],
)
def test_who_is_pinged(
    place: tuple[World, Channel], said: str, allowed: Json | None, expected: set[str]
) -> None:
    world, channel = place
    owner = str(world.owner.id)
    if allowed and allowed.get("users") == ["{owner}"]:
        allowed = allowed | {"users": [owner]}
    wanted = {world.owner.id if e == "owner" else int(e) for e in expected}
    found = pinged(said.replace("{owner}", owner), allowed, channel, None, False)
    assert found.ids == wanted
    assert not found.everyone


def test_everyone_and_replies(place: tuple[World, Channel]) -> None:
    world, channel = place
    everyone = pinged("@everyone", None, channel, None, True)
    assert everyone.everyone
    assert everyone.ids == {10}
    assert not pinged("@everyone", NOTHING, channel, None, True).everyone
    assert pinged("x", None, channel, world.owner, True).ids == {world.owner.id}
    assert pinged("x", NOTHING, channel, world.owner, True).ids == set()
    named: Json = {"parse": [], "replied_user": True}
    assert pinged("x", named, channel, world.owner, True).ids == {world.owner.id}
