"""Direct messages, forums, and archived and locked threads, with the real discord.py."""

from collections.abc import Awaitable, Callable

import aiohttp
import discord
import pytest

from playground import (
    Channel,
    ClientRefused,
    NotAcknowledged,
    Playground,
    User,
    furnish,
    permissions,
)
from playground.errors import ApiError
from playground.page import views
from tests.playground.conftest import Start
from tests.playground.inline_bot import Bot, Panel

DM_INTENTS = discord.Intents(guilds=True, dm_messages=True, dm_reactions=True)


async def post_as_bot(pg: Playground, channel: Channel, text: str = "x") -> tuple[int, int]:
    """Status and code of sending a message there."""
    url = f"{pg.api_url}/channels/{channel.id}/messages"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {pg.token}"}) as session:
        answer = await session.post(url, json={"content": text})
        body = await answer.json()
        return answer.status, body.get("code", 0)


# Direct messages.


async def test_reactions_in_a_direct_message_need_their_intent(
    pg: Playground, start: Start, ada: User
) -> None:
    deaf, all_ears = await start(), await start(Bot(DM_INTENTS))
    room = pg.dm(ada)
    message = await ada.say(room, "hello")
    await ada.react(message, "🔁")
    await ada.unreact(message, "🔁")
    event = (ada.id, message.id, "🔁")
    assert await all_ears.first("unreact") == event
    assert all_ears.all("react") == [event]
    assert deaf.all("react") == deaf.all("unreact") == []
    with pytest.raises(ClientRefused):
        await pg.user("bea").react(message, "🔁")
    assert pg.violations == []


async def test_an_interaction_from_a_direct_message(
    pg: Playground, start: Start, ada: User
) -> None:
    bot = await start(Bot(DM_INTENTS))
    room = pg.dm(ada)
    call = await ada.slash("panel", channel=room)
    payload = call.payload()
    assert payload["user"]["id"] == str(ada.id)
    assert payload["context"] == 1
    assert payload["authorizing_integration_owners"] == {"0": "0"}
    assert payload["channel"]["type"] == 1
    assert not payload.keys() & {"member", "guild_id", "guild"}
    message = await call.wait()
    pressed = await ada.select(message, "who", [ada])
    assert pressed.message is not None
    assert pressed.message.content == "ada"
    assert "members" not in pressed.data["resolved"]
    opened = await ada.click(message, "Form")
    sent = await ada.submit(opened, {"prompt": "owl"})
    assert sent.message is not None
    assert sent.message.content == "form said owl"
    said = await ada.say(room, "and this")
    chosen = await ada.context_menu("Recipe", said)
    assert chosen.message is not None
    assert chosen.message.content == f"of {said.id}"
    assert bot.errors == []
    assert pg.violations == []


async def test_nobody_moderates_in_a_direct_message(
    pg: Playground, start: Start, ada: User
) -> None:
    bot = await start(Bot(DM_INTENTS))
    room = pg.dm(ada)
    said = await ada.say(room, "hello")
    await ada.react(said, "🔁")
    channel = await bot.fetch_channel(room.id)
    assert isinstance(channel, discord.DMChannel)
    message = await channel.fetch_message(said.id)
    await message.add_reaction("👍")
    await message.remove_reaction("👍", discord.Object(pg.bot.id))
    attempts: list[Callable[[], Awaitable[object]]] = [
        message.delete,
        message.clear_reactions,
        lambda: message.remove_reaction("🔁", discord.Object(ada.id)),
    ]
    for attempt in attempts:
        with pytest.raises(discord.Forbidden) as refused:
            await attempt()
        assert refused.value.code == 50003
    pg.close_direct_messages(ada)
    with pytest.raises(discord.Forbidden) as refused:
        await channel.send("hello?")
    assert refused.value.code == 50007


# Forums.


async def test_a_post_in_a_forum(pg: Playground, start: Start, ada: User) -> None:
    forum = pg.add_forum("showcase")
    first = pg.add_post(forum, "My foxes", "look", author=ada)
    post = first.channel
    assert first.id == post.id
    bot = await start()
    found = bot.get_channel(forum.id)
    assert isinstance(found, discord.ForumChannel)
    assert [thread.id for thread in found.threads] == [post.id]
    assert (found.threads[0].owner_id, found.threads[0].name) == (ada.id, "My foxes")
    assert (await found.threads[0].fetch_message(post.id)).id == first.id
    assert {c.id for c in await pg_guild(bot, pg).fetch_channels()} >= {forum.id}
    call = await ada.slash("panel", channel=post)
    assert (await call.wait()).channel is post
    assert call.payload()["channel"]["parent_id"] == str(forum.id)
    assert pg.violations == []
    # The forum itself holds no messages.
    with pytest.raises(ClientRefused, match="it has posts, no messages"):
        await ada.slash("panel", channel=forum)
    with pytest.raises(ClientRefused, match="it has posts, no messages"):
        await ada.say(forum, "hello")
    assert await post_as_bot(pg, forum) == (400, 50008)
    # A new one reaches the bot.
    second = pg.add_post(forum, "Owls", "look")
    assert (await bot.fetch_channel(second.channel.id)).id == second.id


def pg_guild(bot: Bot, pg: Playground) -> discord.Guild:
    guild = bot.get_guild(pg.guild.id)
    assert guild is not None
    return guild


# Archived and locked threads.


@pytest.fixture
async def thread(pg: Playground) -> Channel:
    return pg.add_thread(pg.channel, "foxes")


# What the bot may do: archived, locked, whether it may manage threads, then the code (0: it may)
# of sending, editing, reacting and deleting.
RIGHTS = [
    (False, False, False, (0, 0, 0, 0)),
    (True, False, False, (0, 50083, 50083, 0)),
    (False, True, False, (160005, 160005, 0, 0)),
    (True, True, False, (160005, 50083, 50083, 50083)),
    (False, True, True, (0, 0, 0, 0)),
    (True, True, True, (0, 50083, 50083, 0)),
]


@pytest.mark.parametrize(("archived", "locked", "manager", "codes"), RIGHTS)
async def test_what_the_bot_may_do_in_a_closed_thread(
    pg: Playground,
    start: Start,
    thread: Channel,
    archived: bool,
    locked: bool,
    manager: bool,
    codes: tuple[int, ...],
) -> None:
    if manager:
        pg.give_role(pg.bot, pg.add_role("managers", "manage_threads"))
    bot = await start()
    channel = await bot.fetch_channel(thread.id)
    assert isinstance(channel, discord.Thread)
    message = await channel.send("x")
    found: list[int] = []
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: channel.send("y"),
        lambda: message.edit(content="z"),
        lambda: message.add_reaction("🔁"),
        message.delete,
    ]
    for attempt in attempts:
        pg.archive(thread, archived=archived)
        pg.lock(thread, locked=locked)
        try:
            await attempt()
            found.append(0)
        except discord.HTTPException as error:
            found.append(error.code)
    assert tuple(found) == codes
    assert pg.violations == []


async def test_a_message_opens_an_archived_thread(
    pg: Playground, start: Start, thread: Channel, ada: User
) -> None:
    old = pg.add_thread(pg.channel, "long ago")
    pg.archive(old)
    bot = await start()
    guild = pg_guild(bot, pg)
    for archived in (True, True, False, False):
        pg.archive(thread, archived=archived)
    [session] = pg.gateway.sessions.values()
    updates = [e["d"]["thread_metadata"] for e in session.events if e["t"] == "THREAD_UPDATE"]
    assert [state["archived"] for state in updates] == [True, False]
    # What the bot knows after its next event, it knows of these.
    await ada.slash("secret")
    # The gateway tells of active threads only.
    assert [t.id for t in guild.threads] == [thread.id]
    assert [t.id for t in await guild.active_threads()] == [thread.id]
    fetched = await bot.fetch_channel(old.id)
    assert isinstance(fetched, discord.Thread)
    assert fetched.archived
    await ada.say(old, "again")
    assert not old.archived
    pg.archive(old)
    call = await ada.slash("panel", channel=old)
    assert call.message is not None
    assert not old.archived
    pg.archive(old)
    await ada.click(call.message, "Again")
    assert not old.archived
    pg.archive(old)
    with pytest.raises(ClientRefused, match="is archived"):
        await ada.react(call.message, "🔁")
    assert await post_as_bot(pg, old) == (200, 0)
    assert not old.archived
    assert pg.violations == []


async def test_reactions_in_an_archived_thread_stay_as_they_are(
    pg: Playground, start: Start, thread: Channel, ada: User
) -> None:
    pg.give_role(pg.bot, pg.add_role("bots", "manage_messages"))
    bot = await start()
    channel = await bot.fetch_channel(thread.id)
    assert isinstance(channel, discord.Thread)
    sent = await channel.send("x")
    await sent.add_reaction("🔁")
    message = pg.messages(thread)[0]
    await ada.react(message, "🔁")
    pg.archive(thread)
    attempts: list[Awaitable[object]] = [
        sent.remove_reaction("🔁", discord.Object(pg.bot.id)),
        sent.remove_reaction("🔁", discord.Object(ada.id)),
        sent.clear_reactions(),
    ]
    for attempt in attempts:
        with pytest.raises(discord.HTTPException) as refused:
            await attempt
        assert refused.value.code == 50083
    with pytest.raises(ClientRefused, match="is archived"):
        await ada.unreact(message, "🔁")
    assert message.reactions == {"🔁": {ada.id, pg.bot.id}}
    # Who may not write there cannot open it again either.
    pg.deny(thread, "send_messages_in_threads", account=ada)
    with pytest.raises(ClientRefused, match="has no send_messages_in_threads"):
        await ada.slash("panel", channel=thread)
    assert thread.archived
    pg.delete_message(message)
    with pytest.raises(ClientRefused, match="does not exist any more"):
        await ada.unreact(message, "🔁")
    assert pg.violations == []


async def test_what_a_user_may_do_in_a_locked_thread(
    pg: Playground, start: Start, thread: Channel, ada: User
) -> None:
    await start()
    call = await ada.slash("panel", channel=thread)
    assert call.message is not None
    pg.lock(thread)
    refused: list[Awaitable[object]] = [
        ada.say(thread, "x"),
        ada.slash("panel", channel=thread),
        ada.click(call.message, "Again"),
        ada.select(call.message, "who", [ada]),
    ]
    for doing in refused:
        with pytest.raises(ClientRefused, match="is locked"):
            await doing
    await ada.react(call.message, "🔁")
    # Of commands, those of the context menu are left; the answer is for the user alone.
    menu = await ada.context_menu("Recipe", call.message)
    assert menu.message is not None
    assert menu.message.ephemeral
    pg.give_role(ada, pg.add_role("moderators", "manage_threads"))
    pg.give_role(pg.bot, pg.add_role("bots", "manage_threads"))
    assert (await ada.click(call.message, "Again")).message is call.message
    assert pg.violations == []


async def test_a_public_answer_after_the_thread_was_locked(
    pg: Playground, start: Start, thread: Channel, ada: User
) -> None:
    bot = Bot()
    codes: list[int] = []

    async def attempt(sending: Awaitable[object]) -> None:
        try:
            await sending
            codes.append(0)
        except discord.Forbidden as error:
            codes.append(error.code)

    @bot.tree.context_menu(name="Show")
    async def show(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message("made ephemeral")
        await attempt(interaction.followup.send("public again"))
        await attempt(interaction.edit_original_response(content="still ephemeral"))
        bot.see("done", None)

    @bot.tree.command(description="Replaces its placeholder once the thread is locked")
    async def follow(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        pg.lock(thread)
        await attempt(interaction.followup.send("public"))
        bot.see("followed", None)

    @bot.tree.command(description="Answers once the thread is archived")
    async def archived(interaction: discord.Interaction) -> None:
        pg.archive(thread)
        await interaction.response.send_message("this opens it")

    @bot.tree.command(description="Answers once the thread is locked")
    async def locked(interaction: discord.Interaction) -> None:
        pg.lock(thread)
        await attempt(interaction.response.send_message("public"))
        await interaction.response.send_message("private", ephemeral=True)

    await start(bot)
    call = await ada.slash("paint", prompt="fox", channel=thread)
    pg.lock(thread)
    bot.gate.set()
    error = await bot.first("error")
    assert isinstance(error, discord.Forbidden)
    assert error.code == 50083
    assert call.deferred
    pg.lock(thread, locked=False)
    call = await ada.slash("locked", channel=thread)
    assert call.message is not None
    assert (call.message.content, codes) == ("private", [50083])
    pg.lock(thread, locked=False)
    await ada.slash("follow", channel=thread)
    await bot.first("followed")
    assert codes == [50083, 50083]
    pg.lock(thread, locked=False)
    assert (await ada.slash("archived", channel=thread)).message is not None
    assert not thread.archived
    pg.lock(thread)
    said = pg.messages(thread)[0]
    shown = await ada.context_menu("Show", said)
    await bot.first("done")
    assert codes[2:] == [0, 0]
    assert shown.message is not None
    assert (shown.message.content, shown.message.ephemeral) == ("still ephemeral", True)
    assert [m.ephemeral for m in shown.followups] == [True]
    assert pg.violations == []


async def test_a_press_whose_answer_comes_too_late(
    pg: Playground, start: Start, thread: Channel, ada: User
) -> None:
    """A second press while a moderator archives the thread: the update is refused."""
    pg.ack_deadline = 0.2
    bot = Bot()

    class Slow(Panel):
        @discord.ui.button(label="Slow", custom_id="slow")
        async def slow(self, interaction: discord.Interaction, _: object) -> None:
            pg.archive(thread)
            await interaction.response.edit_message(content="late")

    @bot.tree.command(description="A slow button")
    async def button(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("x", view=Slow(timeout=None))

    await start(bot)
    call = await ada.slash("button", channel=thread)
    assert call.message is not None
    with pytest.raises(NotAcknowledged):
        await ada.click(call.message, "Slow")
    assert call.message.content == "x"


def test_what_the_page_is_told_of_a_channel(pg: Playground, ada: User) -> None:
    forum = pg.add_forum("showcase")
    post = pg.add_post(forum, "My foxes", "look").channel
    thread, old = pg.add_thread(pg.channel, "closed"), pg.add_thread(pg.channel, "old")
    pg.lock(thread)
    pg.archive(old)
    pg.dm(ada)
    pg.deny(pg.nsfw_channel, "view_channel", account=ada)
    told = {c["name"]: c for c in views.world(pg.core, ada, [ada])["channels"]}
    state = {
        name: (c["type"], c["archived"], c["locked"], c["can_send"]) for name, c in told.items()
    }
    assert state == {
        "general": (0, False, False, True),
        "showcase": (15, False, False, False),
        "My foxes": (11, False, False, True),
        "closed": (11, False, True, False),
        "old": (11, True, False, True),
        "Imagen": (1, False, False, True),
    }
    assert told["My foxes"]["parent"] == str(forum.id)
    assert post.parent is forum


async def test_the_rooms_of_the_page(pg: Playground, start: Start, ada: User) -> None:
    furnish(pg)
    await start(Bot(DM_INTENTS))
    names = [c["name"] for c in views.world(pg.core, ada, [ada])["channels"]]
    assert names == [
        *("general", "sketches", "last winter", "closed", "after-dark"),
        *("showcase", "Your best pictures", "news", "lounge", "chat", "Imagen", "ada, bea, max"),
    ]
    answered = []
    for channel in list(pg.core.world.channels.values()):
        try:
            await ada.slash("panel", channel=channel)
            answered.append(channel.name)
        except ClientRefused:
            continue
    assert answered == [
        *("general", "after-dark", "sketches", "last winter", "Your best pictures"),
        *("news", "lounge", ""),
    ]
    assert pg.violations == []


async def test_the_page_offers_a_command_only_to_who_may_use_it(pg: Playground, ada: User) -> None:
    furnish(pg)
    needs = {"all": None, "words": permissions.bits("manage_guild"), "pause": 0}
    pg.core.world.commands[None] = {
        number: {"id": str(number), "name": name, "type": 1}
        | ({} if bits is None else {"default_member_permissions": str(bits)})
        for number, (name, bits) in enumerate(needs.items(), 1)
    }

    def offered(person: User) -> list[str]:
        told = views.world(pg.core, person, [person])["channels"]
        return list(next(c["commands"] for c in told if c["name"] == "general"))

    assert offered(ada) == ["1"]
    assert offered(pg.user("max")) == ["1", "2", "3"]
    with pytest.raises(ClientRefused, match=r"/words needs permissions in .*: manage_guild$"):
        await ada.slash("words")
    with pytest.raises(ClientRefused, match=r"/pause needs permissions in .*: administrator$"):
        await ada.slash("pause")


async def test_a_user_deletes_what_that_one_may_delete(pg: Playground, ada: User) -> None:
    thread = pg.add_thread(pg.channel, "sketches")
    own, other = await ada.say(thread, "mine"), await pg.user("bea").say(thread, "hers")
    with pytest.raises(ClientRefused, match="ada has no manage_messages"):
        await ada.delete(other)
    pg.grant(pg.channel, "manage_messages", account=ada)
    await ada.delete(other)
    pg.archive(thread)
    pg.lock(thread)
    with pytest.raises(ApiError, match="Thread is archived"):
        await ada.delete(own)
    pg.lock(thread, locked=False)
    await ada.delete(own)
    assert pg.messages(thread) == []
    with pytest.raises(ClientRefused, match="does not exist any more"):
        await ada.delete(own)
