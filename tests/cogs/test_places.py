"""What people may do elsewhere in their server."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import discord
import pytest

from cogs.places import lacks_thread, moderates
from tests.store.factories import discord_origin


@pytest.mark.parametrize(
    ("names", "private", "decides", "lacks"),
    [
        ({"manage_messages"}, True, False, True),
        ({"manage_messages", "manage_threads"}, True, True, False),
        ({"manage_messages"}, False, True, False),
        (set(), True, False, False),
    ],
)
def test_who_moderates_a_private_thread_only_by_its_channel_is_told_what_is_missing(
    names: set[str], private: bool, decides: bool, lacks: bool
) -> None:
    may = discord.Permissions(read_messages=True, **dict.fromkeys(names, True))
    thread: Any = create_autospec(discord.Thread, instance=True)
    thread.is_private = lambda: private
    thread.permissions_for = lambda _: may
    member: Any = create_autospec(discord.Member, instance=True)
    member.id = 8
    interaction: Any = SimpleNamespace(
        guild_id=100,
        channel_id=30,
        permissions=discord.Permissions.none(),
        guild=SimpleNamespace(get_channel_or_thread=lambda _: thread),
        user=member,
    )
    asked = discord_origin(guild_id=100, channel_id=20)
    assert moderates(interaction, asked) is decides
    assert lacks_thread(interaction, asked) is lacks
