"""Messages, files, reactions, mentions, permissions and deletions over the wire."""

import asyncio
import io
from collections.abc import Iterator

import discord
import pytest

from playground import Playground, User
from tests.playground.inline_bot import PNG, Bot, picture


@pytest.fixture(autouse=True)
def _clean(pg: Playground) -> Iterator[None]:
    yield
    assert pg.violations == []


@pytest.fixture
def channel(pg: Playground, bot: Bot) -> discord.TextChannel:
    found = bot.get_channel(pg.channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


async def test_upload_edit_and_download(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    sent = await channel.send(
        "two", files=[picture("a.png", text="a fox"), picture("b c.txt", data=b"hi")]
    )
    message = await pg.wait_message(lambda m: m.id == sent.id)
    assert message.author is pg.bot
    assert [a.filename for a in message.attachments] == ["a.png", "b_c.txt"]
    assert [a.description for a in sent.attachments] == ["a fox", None]
    assert sent.attachments[0].width == 3
    assert await sent.attachments[0].read() == PNG
    assert await pg.download(message.attachments[1]) == b"hi"

    # Without ``attachments`` everything stays.
    await sent.edit(content="still two")
    assert len(message.attachments) == 2
    # With it, only listed files stay, and new ones are added.
    first = message.attachments[0]
    sent = await sent.edit(attachments=[sent.attachments[0], picture("c.png")])
    assert [a.filename for a in message.attachments] == ["a.png", "c.png"]
    assert message.attachments[0] is first
    assert [a.filename for a in sent.attachments] == ["a.png", "c.png"]
    await sent.edit(attachments=[])
    assert message.attachments == []
    assert [s.content for _, s in message.edits] == ["two", "still two", "still two", "still two"][
        1:
    ]
    # An old URL stays valid.
    assert await pg.download(first) == PNG


async def test_a_download_needs_its_signature(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    await channel.send(file=picture())
    url = pg.messages()[0].attachments[0].url
    with pytest.raises(Exception, match="404"):
        await pg.download(url.split("?")[0])


async def test_files_shown_by_an_embed_are_not_listed(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    embed = discord.Embed(title="fox").set_image(url="attachment://fox.png")
    sent = await channel.send(embed=embed, file=picture())
    assert sent.attachments == []
    (message,) = pg.messages()
    assert message.attachments[0].filename == "fox.png"
    assert message.embeds[0]["image"]["url"] == message.attachments[0].url
    assert await pg.download(sent.embeds[0].image.url or "") == PNG
    await sent.edit(content="kept")
    assert (await channel.fetch_message(sent.id)).attachments == []
    await sent.edit(embed=None)
    assert len((await channel.fetch_message(sent.id)).attachments) == 1


async def test_layout_view(pg: Playground, bot: Bot, channel: discord.TextChannel) -> None:
    view = discord.ui.LayoutView()
    gallery: discord.ui.MediaGallery[discord.ui.LayoutView] = discord.ui.MediaGallery(
        discord.MediaGalleryItem("attachment://fox.png", description="a fox")
    )
    shown: discord.ui.TextDisplay[discord.ui.LayoutView] = discord.ui.TextDisplay("hello")
    row: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(
        discord.ui.Button(label="Press", custom_id="press")
    )
    view.add_item(discord.ui.Container(shown, gallery, discord.ui.Separator(), row))
    sent = await channel.send(view=view, file=picture())
    (message,) = pg.messages()
    inner = message.components[0]["components"]
    assert inner[1]["items"][0]["media"]["url"] == message.attachments[0].url
    assert sent.attachments == []
    ids = [c["id"] for c in inner] + [message.components[0]["id"]]
    assert len(set(ids)) == len(ids)


async def test_history_get_and_delete(
    pg: Playground, bot: Bot, ada: User, channel: discord.TextChannel
) -> None:
    sent = [await channel.send(str(n)) for n in range(3)]
    theirs = await ada.say(pg.channel, "mine")
    seen = [m.content async for m in channel.history(oldest_first=True)]
    assert seen == ["0", "1", "2", "mine"]
    assert [m.id async for m in channel.history(limit=1, before=sent[2])] == [sent[1].id]
    await sent[0].delete()
    assert await bot.first("delete") == sent[0].id
    with pytest.raises(discord.NotFound) as gone:
        await channel.fetch_message(sent[0].id)
    assert gone.value.code == 10008
    # The bot removed it itself and should know.
    assert "10008" in pg.violations.pop()
    with pytest.raises(discord.Forbidden) as refused:
        await channel.get_partial_message(theirs.id).delete()
    assert refused.value.code == 50013
    with pytest.raises(discord.Forbidden) as refused:
        await channel.get_partial_message(theirs.id).edit(content="x")
    assert refused.value.code == 50005
    assert "50005" in pg.violations.pop()


async def test_reply_and_reference(
    pg: Playground, bot: Bot, ada: User, channel: discord.TextChannel
) -> None:
    said = await ada.say(pg.channel, "hello")
    target = channel.get_partial_message(said.id)
    await channel.send("loud", reference=target)
    loud = await pg.wait_message(lambda m: m.reference == said.id)
    assert loud.mentions == {ada.id}
    await channel.send("quiet", reference=target, mention_author=False)
    quiet = await pg.wait_message(lambda m: m.content == "quiet")
    assert quiet.mentions == set()
    lost = discord.MessageReference(message_id=1, channel_id=channel.id)
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send("x", reference=lost)
    assert refused.value.code == 50035
    assert "REPLIES_UNKNOWN_MESSAGE" in pg.violations.pop()
    lost.fail_if_not_exists = False
    assert (await channel.send("x", reference=lost)).reference is None


async def test_nonce_makes_one_message(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    first = await channel.send("once", nonce="n1")
    second = await channel.send("once", nonce="n1")
    assert first.id == second.id
    assert len(pg.messages()) == 1
    assert (await channel.send("once", nonce="n2")).id != first.id


async def test_reactions(pg: Playground, bot: Bot, ada: User, channel: discord.TextChannel) -> None:
    sent = await channel.send("react")
    (message,) = pg.messages()
    await ada.react(message, "🔁")
    assert await bot.first("react") == (ada.id, sent.id, "🔁")
    await sent.add_reaction("🔁")
    assert message.reactions == {"🔁": {ada.id, pg.bot.id}}
    fetched = await channel.fetch_message(sent.id)
    assert [(r.emoji, r.count, r.me) for r in fetched.reactions] == [("🔁", 2, True)]
    assert {u.id async for u in fetched.reactions[0].users()} == {ada.id, pg.bot.id}
    await sent.remove_reaction("🔁", bot.user)  # type: ignore[arg-type]
    await ada.unreact(message, "🔁")
    assert await bot.first("unreact") in [(pg.bot.id, sent.id, "🔁"), (ada.id, sent.id, "🔁")]
    assert message.reactions == {}
    with pytest.raises(discord.HTTPException) as refused:
        await sent.add_reaction("fox")
    assert refused.value.code == 10014
    assert "10014" in pg.violations.pop()


async def test_typing(pg: Playground, bot: Bot, channel: discord.TextChannel) -> None:
    async with channel.typing():
        pass
    assert [where for _, where in pg.core.typing] == [channel.id]


async def test_without_message_content(pg: Playground, bot: Bot, ada: User) -> None:
    await ada.say(pg.channel, "private words")
    assert (await bot.first("message")).content == ""
    bot.seen.clear()
    await ada.say(pg.channel, f"<@{pg.bot.id}> hi")
    assert (await bot.first("message")).content == f"<@{pg.bot.id}> hi"


async def test_permissions(
    pg: Playground, bot: Bot, ada: User, channel: discord.TextChannel
) -> None:
    sent = await channel.send("before")

    async def refused(code: int, action: object) -> None:
        with pytest.raises(discord.Forbidden) as error:
            await action  # type: ignore[misc]
        assert error.value.code == code

    pg.deny(pg.channel, "attach_files")
    await refused(50013, channel.send(file=picture()))
    pg.deny(pg.channel, "embed_links")
    await refused(50013, channel.send(embed=discord.Embed(title="x")))
    pg.deny(pg.channel, "add_reactions")
    await refused(50013, sent.add_reaction("🔁"))
    pg.deny(pg.channel, "send_messages")
    await refused(50013, channel.send("x"))
    await refused(50013, channel.typing().__aenter__())
    pg.deny(pg.channel, "view_channel")
    await refused(50001, channel.send("x"))
    pg.allow(pg.channel, "view_channel", "send_messages")
    await channel.send("after")
    # The bot sees the same: in its cache and in every interaction.
    seen: list[discord.Permissions] = []

    @bot.tree.command(description="What may I do")
    async def may(interaction: discord.Interaction) -> None:
        seen.append(interaction.app_permissions)
        await interaction.response.send_message("x")

    await bot.tree.sync()
    await ada.slash("may")
    own = channel.permissions_for(channel.guild.me)
    for permission in (seen[0], own):
        assert (permission.send_messages, permission.attach_files) == (True, False)
    # In a thread below it, sending is a separate permission.
    thread = pg.add_thread(pg.channel, "below")
    pg.deny(thread, "send_messages_in_threads")
    below = bot.get_partial_messageable(thread.id)
    await refused(50013, below.send("x"))


async def test_too_large(pg: Playground, bot: Bot, channel: discord.TextChannel) -> None:
    pg.attachment_size_limit = 100
    await channel.send(file=picture(data=b"x" * 100))
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send(file=picture(data=b"x" * 101))
    assert (refused.value.status, refused.value.code) == (413, 40005)
    assert "40005" in pg.violations.pop()
    pg.attachment_size_limit = 100 * 1024 * 1024
    big = discord.File(io.BytesIO(bytes(26 * 1024 * 1024)), "big.bin")
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send(file=big)
    assert (refused.value.status, refused.value.code) == (413, 40005)
    assert "40005" in pg.violations.pop()


async def test_the_size_limit_is_told(pg: Playground, bot: Bot, ada: User) -> None:
    pg.attachment_size_limit = 1234
    limits: list[int] = []

    @bot.tree.command(description="How much")
    async def limit(interaction: discord.Interaction) -> None:
        limits.append(interaction.filesize_limit)
        await interaction.response.send_message("x")

    await bot.tree.sync()
    await ada.slash("limit")
    assert limits == [1234]


async def test_deletions_on_the_other_side(
    pg: Playground, bot: Bot, ada: User, channel: discord.TextChannel
) -> None:
    call = await ada.slash("paint", prompt="fox")
    sent = await channel.send("x")
    message = await pg.wait_message(lambda m: m.id == sent.id)
    pg.delete_message(message)
    assert await bot.first("delete") == sent.id
    with pytest.raises(discord.NotFound) as gone:
        await sent.edit(content="y")
    assert gone.value.code == 10008

    other = pg.add_channel("other")
    thread = pg.add_thread(other, "thread")
    pg.delete_channel(other)
    assert await bot.first("channel_delete") == other.id
    for place in (other, thread):
        with pytest.raises(discord.NotFound) as gone:
            await bot.get_partial_messageable(place.id).send("x")
        assert gone.value.code == 10003

    guild = pg.add_guild("second")
    assert await bot.first("guild_join") == guild.id
    pg.remove_guild(guild)
    assert await bot.first("guild_remove") == guild.id
    # The deferred answer's message is gone too, so there is no message to edit.
    assert call.original is not None
    pg.delete_message(call.original)
    bot.gate.set()
    error = await bot.first("error")
    assert isinstance(error, discord.NotFound)
    assert error.code == 10008


async def test_fetching(pg: Playground, bot: Bot, ada: User) -> None:
    thread = pg.add_thread(pg.channel, "thread")
    assert (await bot.fetch_channel(pg.channel.id)).id == pg.channel.id
    assert isinstance(await bot.fetch_channel(pg.nsfw_channel.id), discord.TextChannel)
    assert isinstance(await bot.fetch_channel(thread.id), discord.Thread)
    guild = await bot.fetch_guild(pg.guild.id)
    assert guild.name == "playground"
    assert {c.id for c in await guild.fetch_channels()} == {pg.channel.id, pg.nsfw_channel.id}
    assert (await guild.fetch_member(ada.id)).name == "ada"
    assert (await bot.fetch_user(ada.id)).name == "ada"
    assert [r.name for r in await guild.fetch_roles()] == ["@everyone"]
    assert (await bot.application_info()).id == pg.bot.id
    private = await (await bot.fetch_user(ada.id)).create_dm()
    await private.send("psst")
    (message,) = pg.messages(pg.dm(ada))
    assert message.content == "psst"
    with pytest.raises(discord.NotFound):
        await bot.fetch_user(5)
    assert "10013" in pg.violations.pop()


async def test_two_at_a_time(pg: Playground, bot: Bot, channel: discord.TextChannel) -> None:
    sent = await asyncio.gather(*(channel.send(str(n)) for n in range(10)))
    assert len({m.id for m in sent}) == 10
    assert sorted(m.content for m in pg.messages()) == [str(n) for n in range(10)]
