"""What people may do in the playground, against discord.py's own reckoning of permissions."""

import asyncio
from collections.abc import Iterator

import discord
import pytest

from playground import ClientRefused, Playground, User, permissions
from playground.rest import reactions
from tests.playground.inline_bot import Bot


@pytest.fixture(autouse=True)
def _clean(pg: Playground) -> Iterator[None]:
    yield
    assert pg.violations == []


async def seen_by(pg: Playground, bot: Bot, person: User) -> discord.Permissions:
    """What discord.py thinks that `person` may do in the main channel, by an event of theirs."""
    events: list[discord.RawReactionActionEvent] = []
    arrived = asyncio.Event()

    async def on_raw_reaction_add(event: discord.RawReactionActionEvent) -> None:
        events.append(event)
        arrived.set()

    bot.event(on_raw_reaction_add)
    message = await pg.user("talker").say(pg.channel, "hello")
    reactions.add(pg.core, person, message, "🔁")
    await asyncio.wait_for(arrived.wait(), 5)
    [event] = events
    assert event.member is not None
    channel = event.member.guild.get_channel(pg.channel.id)
    assert channel is not None
    return channel.permissions_for(event.member)


async def test_nothing_is_open_to_someone_who_cannot_see(
    pg: Playground, bot: Bot, ada: User
) -> None:
    message = await ada.say(pg.channel, "hello")
    pg.deny(pg.channel, "view_channel", account=ada)
    assert permissions.of(ada, pg.channel) == 0
    for attempt in (ada.say(pg.channel, "x"), ada.slash("panel"), ada.react(message, "🔁")):
        with pytest.raises(ClientRefused, match="no view_channel"):
            await attempt
    known = await seen_by(pg, bot, ada)
    for may in (known.read_messages, known.send_messages, known.use_application_commands):
        assert not may


async def test_who_may_not_send_may_not_attach(pg: Playground, bot: Bot, ada: User) -> None:
    pg.deny(pg.channel, "send_messages", account=ada)
    with pytest.raises(ClientRefused, match="no send_messages in"):
        await ada.say(pg.channel, "x")
    assert not permissions.has(ada, pg.channel, "attach_files")
    known = await seen_by(pg, bot, ada)
    assert (known.send_messages, known.attach_files, known.read_messages) == (False, False, True)
    pg.allow(pg.channel, "send_messages", account=ada)
    await ada.say(pg.channel, "x")


async def test_a_new_reaction_needs_more_than_joining_one(pg: Playground, ada: User) -> None:
    message = await ada.say(pg.channel, "hello")
    pg.deny(pg.channel, "add_reactions", account=ada)
    with pytest.raises(ClientRefused, match="no add_reactions in"):
        await ada.react(message, "🔁")
    await pg.user("bea").react(message, "🔁")
    await ada.react(message, "🔁")
    pg.deny(pg.channel, "read_message_history", account=ada)
    with pytest.raises(ClientRefused, match="no read_message_history in"):
        await ada.react(message, "🔁")


async def test_in_a_timeout_one_may_only_read(pg: Playground, bot: Bot, ada: User) -> None:
    pg.time_out(ada)
    with pytest.raises(ClientRefused, match="no send_messages in"):
        await ada.say(pg.channel, "x")
    known = await seen_by(pg, bot, ada)
    assert (known.send_messages, known.use_application_commands) == (False, False)
    assert known.read_messages
    pg.time_out(ada, 0)
    await ada.say(pg.channel, "x")


async def test_a_member_may_be_given_more_in_one_channel(
    pg: Playground, bot: Bot, ada: User
) -> None:
    other = pg.add_channel("other")
    pg.grant(other, "manage_messages", account=ada)
    assert permissions.has(ada, other, "manage_messages")
    assert not permissions.has(ada, pg.channel, "manage_messages")
    pg.grant(pg.channel, "manage_messages", account=ada)
    assert (await seen_by(pg, bot, ada)).manage_messages


async def test_an_age_restriction_comes_and_goes(pg: Playground, bot: Bot) -> None:
    for restricted in (True, False):
        updated: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def on_guild_channel_update(
            before: object, after: discord.TextChannel, updated: asyncio.Future[bool] = updated
        ) -> None:
            updated.set_result(after.is_nsfw())

        bot.event(on_guild_channel_update)
        pg.set_age_restricted(pg.channel, restricted)
        assert await asyncio.wait_for(updated, 5) is restricted


async def test_events_come_again_with_the_numbers_they_had(
    pg: Playground, bot: Bot, ada: User
) -> None:
    said = [await ada.say(pg.channel, text) for text in ("first", "second")]
    [session] = pg.gateway.sessions.values()
    before, seen = session.seq, asyncio.Queue[int]()

    async def on_message(message: discord.Message) -> None:
        seen.put_nowait(message.id)

    bot.event(on_message)
    pg.repeat_events(2)
    pg.repeat_events(1)
    ids: list[int] = []
    async with asyncio.timeout(5):
        while len(ids) < 3 or ids[-3:] != [said[0].id, said[1].id, said[1].id]:
            ids.append(await seen.get())
    assert session.seq == before
