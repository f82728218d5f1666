"""What people may do in channels and threads, as discord.py reports it."""

from typing import Any
from unittest.mock import create_autospec

import discord
import pytest

from bot.chat.places import age_restricted, may_ask, may_post, permissions_in, sees

ALL = discord.Permissions.all()


def without(*names: str, of: discord.Permissions = ALL) -> discord.Permissions:
    permissions = discord.Permissions(of.value)
    permissions.update(**dict.fromkeys(names, False))
    return permissions


def channel(kind: type, **fields: Any) -> Any:
    made = create_autospec(kind, instance=True)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "kind",
    [discord.TextChannel, discord.VoiceChannel, discord.StageChannel, discord.ForumChannel],
)
def test_every_channel_may_be_age_restricted_and_its_threads_are_as_well(kind: type) -> None:
    for nsfw in (True, False):
        place = channel(kind, is_nsfw=lambda nsfw=nsfw: nsfw)
        assert age_restricted(place) is nsfw
        assert age_restricted(channel(discord.Thread, parent=place)) is nsfw


def test_an_unknown_place_is_not_age_restricted() -> None:
    assert not age_restricted(None)
    assert not age_restricted(channel(discord.Thread, parent=None))
    assert not age_restricted(channel(discord.DMChannel))


def test_asking_needs_what_a_command_needs() -> None:
    room = channel(discord.TextChannel)
    assert may_ask(room, without("send_messages_in_threads"))
    for name in ("read_messages", "send_messages", "use_application_commands"):
        assert not may_ask(room, without(name))


def test_in_a_thread_another_permission_counts_and_a_locked_one_is_for_moderators() -> None:
    thread = channel(discord.Thread, locked=False)
    assert may_ask(thread, without("send_messages", "manage_threads"))
    assert not may_ask(thread, without("send_messages_in_threads"))
    locked = channel(discord.Thread, locked=True)
    assert may_ask(locked, ALL)
    assert not may_ask(locked, without("manage_threads"))


def test_a_private_thread_is_seen_by_its_owner_and_by_those_who_manage_threads() -> None:
    thread = channel(discord.Thread, is_private=lambda: True, owner_id=7)
    assert sees(thread, ALL, 8)
    assert sees(thread, without("manage_threads"), 7)
    assert not sees(thread, without("manage_threads"), 8)
    assert not sees(thread, without("read_messages"), 7)
    public = channel(discord.Thread, is_private=lambda: False, owner_id=7)
    assert sees(public, without("manage_threads"), 8)


def test_in_an_unknown_place_no_one_may_do_anything() -> None:
    member: Any = object()
    assert permissions_in(None, member) == discord.Permissions.none()

    def unknown(_: object) -> discord.Permissions:
        raise discord.ClientException("Parent channel not found")

    orphan = channel(discord.Thread, permissions_for=unknown)
    assert permissions_in(orphan, member) == discord.Permissions.none()
    assert (
        permissions_in(channel(discord.TextChannel, permissions_for=lambda _: ALL), member) == ALL
    )


@pytest.mark.parametrize("kind", [discord.VoiceChannel, discord.StageChannel])
def test_the_messages_of_a_voice_channel_are_for_those_who_may_join_it(kind: type) -> None:
    member: Any = object()
    room = channel(kind)
    room.permissions_for.return_value = ALL
    assert permissions_in(room, member) == ALL
    room.permissions_for.return_value = without("connect")
    assert permissions_in(room, member) == discord.Permissions.none()
    text = channel(discord.TextChannel)
    text.permissions_for.return_value = without("connect")
    assert permissions_in(text, member) == without("connect")


@pytest.mark.parametrize(
    ("lacking", "added", "may"),
    [
        (("manage_threads",), True, True),
        (("manage_threads",), False, False),
        ((), False, True),
        (("attach_files",), True, False),
        (("embed_links",), True, False),
        (("send_messages_in_threads",), True, False),
    ],
)
def test_where_results_are_posted_without_answering_anyone(
    lacking: tuple[str, ...], added: bool, may: bool
) -> None:
    """In a private thread only where the bot was added, or manages threads."""
    thread = channel(
        discord.Thread,
        is_private=lambda: True,
        locked=False,
        me=object() if added else None,
        permissions_for=lambda _: without(*lacking),
    )
    guild: Any = create_autospec(discord.Guild, instance=True)
    assert may_post(thread, guild) is may
