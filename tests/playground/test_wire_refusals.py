"""Discord's refusals reach the client and are recorded; so are the client's mistakes."""

import asyncio
from collections.abc import Awaitable

import aiohttp
import discord
import pytest
from discord import app_commands
from yarl import URL

from playground import NotAcknowledged, Playground, User, openapi, payloads
from tests.playground.inline_bot import Bot, picture


@pytest.fixture
def channel(pg: Playground, bot: Bot) -> discord.TextChannel:
    found = bot.get_channel(pg.channel.id)
    assert isinstance(found, discord.TextChannel)
    return found


async def test_a_good_run_leaves_nothing(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    await channel.send("fine", embed=discord.Embed(title="x" * 256))
    assert pg.violations == []


async def test_invalid_bodies(pg: Playground, bot: Bot, channel: discord.TextChannel) -> None:
    for title in ("x" * 257, "x" * 300):
        with pytest.raises(discord.HTTPException) as refused:
            await channel.send(embed=discord.Embed(title=title))
        assert (refused.value.status, refused.value.code) == (400, 50035)
        assert "embeds" in refused.value.text
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send("x" * 2001)
    assert refused.value.code == 50035
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send(" ")
    assert refused.value.code == 50006
    assert pg.messages() == []
    assert len(pg.violations) == 4
    assert all("refused with 400" in violation for violation in pg.violations)
    assert "embeds" in pg.violations[0]


async def test_a_request_that_is_cut_off_is_nobodys_fault(pg: Playground) -> None:
    """As if the bot were killed while sending an image."""
    url = URL(pg.api_url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST {url.path}/channels/{pg.channel.id}/messages HTTP/1.1\r\nHost: {url.host}\r\n"
        f"Authorization: Bot {pg.token}\r\nContent-Type: application/json\r\n"
        'Content-Length: 1000\r\n\r\n{"content": "a fo'
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await pg.wait_for(lambda: bool(pg.requests))
    assert [request.status for request in pg.requests] == [0]
    assert pg.violations == []


@pytest.mark.skipif(openapi.reason() is not None, reason=str(openapi.reason()))
async def test_only_the_description_refuses_this(pg: Playground, bot: Bot) -> None:
    route = discord.http.Route("POST", "/channels/{channel_id}/messages", channel_id=pg.channel.id)
    with pytest.raises(discord.HTTPException) as refused:
        await bot.http.request(route, json={"content": "x", "flags": "many"})
    assert refused.value.code == 50035
    assert "'many' is not of type" in refused.value.text
    assert "flags" in pg.violations[0]


async def test_an_edit_cannot_leave_nothing(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    sent = await channel.send("x", file=picture())
    await sent.edit(content=None)
    with pytest.raises(discord.HTTPException) as refused:
        await sent.edit(attachments=[])
    assert refused.value.code == 50006
    (message,) = pg.messages()
    assert len(message.attachments) == 1


async def test_an_attachment_of_another_message(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    other = await channel.send("x", file=picture())
    sent = await channel.send("y")
    with pytest.raises(discord.HTTPException) as refused:
        await sent.edit(attachments=other.attachments)
    assert "ATTACHMENT_NOT_FOUND" in pg.violations[0]
    assert refused.value.code == 50035


async def test_an_invalid_command(pg: Playground, bot: Bot) -> None:
    @app_commands.command(name="fine", description="d")
    async def fine(interaction: discord.Interaction) -> None:
        raise AssertionError

    bot.tree.add_command(fine)
    before = pg.commands
    # The description limits the length; only our own checks know the allowed characters of a name.
    for key, value in (("description", "x" * 101), ("name", "two words")):
        setattr(fine, key, value)
        with pytest.raises((discord.HTTPException, app_commands.CommandSyncFailure)):
            await bot.tree.sync()
        assert pg.commands == before
        assert key in pg.violations[-1]
        fine.description = "d"


async def test_too_many_choices(pg: Playground, bot: Bot, ada: User) -> None:
    pg.ack_deadline = 0.2

    @bot.tree.command(description="Offers too much")
    async def greedy(interaction: discord.Interaction, word: str) -> None:
        raise AssertionError

    @greedy.autocomplete("word")
    async def word(_: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=str(n), value=str(n)) for n in range(int(typed))]

    await bot.tree.sync()
    assert len(await ada.autocomplete("greedy", "word", "25")) == 25
    with pytest.raises(NotAcknowledged, match="choices"):
        await ada.autocomplete("greedy", "word", "26")
    pg.violations.clear()

    @bot.tree.command(description="Offers words for a number")
    async def confused(interaction: discord.Interaction, number: int) -> None:
        raise AssertionError

    @confused.autocomplete("number")
    async def number(_: discord.Interaction, typed: str) -> list[app_commands.Choice[int]]:
        return [app_commands.Choice(name="x", value="one")]  # type: ignore[arg-type]

    await bot.tree.sync()
    with pytest.raises(NotAcknowledged, match="does not fit an option of type 4"):
        await ada.autocomplete("confused", "number", "1")


async def test_pings_are_seen(pg: Playground, bot: Bot, ada: User) -> None:
    channel = bot.get_partial_messageable(pg.channel.id)
    text = f"<@{ada.id}>"
    await channel.send(text)
    assert pg.messages()[-1].mentions == {ada.id}
    await channel.send(text, allowed_mentions=discord.AllowedMentions.none())
    assert pg.messages()[-1].mentions == set()
    bot.gate.set()
    call = await ada.slash("paint", prompt=text)
    assert (await call.wait(timeout=5)).mentions == {ada.id}


async def test_what_the_bot_sends_beside_the_rules_is_on_record(
    pg: Playground, bot: Bot, channel: discord.TextChannel
) -> None:
    sent = await channel.send(embed=discord.Embed(title="x").set_image(url="attachment://no.png"))
    assert sent.embeds[0].image.url is None
    assert "'attachment://no.png' is not a file of this message" in pg.violations[0]


@pytest.mark.skipif(openapi.reason() is not None, reason=str(openapi.reason()))
async def test_own_answers_are_judged_too(
    pg: Playground, bot: Bot, monkeypatch: pytest.MonkeyPatch, channel: discord.TextChannel
) -> None:
    right = payloads.attachment
    monkeypatch.setattr(payloads, "attachment", lambda a: right(a) | {"size": "big"})
    await channel.send("x", file=picture())
    assert pg.violations
    assert all("own answer with 200: attachments.0.size" in v for v in pg.violations)


async def test_a_bug_of_the_playground_is_no_silence(
    pg: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "guild", None)
    url = f"{pg.api_url}/guilds/{pg.guild.id}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {pg.token}"}) as session:
        pg.fail_next("GET", "/guilds/", 418)
        assert (await session.get(url)).status == 418
        # What the test requested is not a violation.
        assert pg.violations == []
        assert (await session.get(url)).status == 500
    assert "the playground itself failed" in pg.violations[0]


async def test_the_same_rules_on_every_way_to_send(pg: Playground, bot: Bot, ada: User) -> None:
    # Only the playground's own check knows the limit on the sum of all embeds.
    wrong = [discord.Embed(description="x" * 3001) for _ in range(2)]
    refused: list[str] = []

    async def attempt(name: str, sending: Awaitable[object]) -> None:
        with pytest.raises(discord.HTTPException) as error:
            await sending
        if error.value.code == 50035 and "MAX_EMBED_SIZE_EXCEEDED" in pg.violations[-1]:
            refused.append(name)

    class Wrong(discord.ui.View):
        @discord.ui.button(label="Wrong", custom_id="wrong")
        async def wrong(self, interaction: discord.Interaction, _: object) -> None:
            await attempt("update", interaction.response.edit_message(embeds=wrong))
            await interaction.response.defer()

    @bot.tree.command(description="Sends too much")
    async def much(interaction: discord.Interaction) -> None:
        await attempt("reply", interaction.response.send_message(embeds=wrong))
        await interaction.response.send_message("x", view=Wrong())
        await attempt("original", interaction.edit_original_response(embeds=wrong))
        await attempt("followup", interaction.followup.send(embeds=wrong))
        channel = interaction.channel
        assert isinstance(channel, discord.TextChannel)
        await attempt("send", channel.send(embeds=wrong))
        sent = await channel.send("x")
        await attempt("edit", sent.edit(embeds=wrong))
        bot.see("done", None)

    await bot.tree.sync()
    message = await (await ada.slash("much")).wait(timeout=5)
    await bot.first("done")
    await ada.click(message, "Wrong")
    assert refused == ["reply", "original", "followup", "send", "edit", "update"]
    assert message.embeds == []


async def test_a_form_with_a_name_twice(pg: Playground, bot: Bot, ada: User) -> None:
    pg.ack_deadline = 0.2

    class Twice(discord.ui.Modal, title="Twice"):
        one: discord.ui.TextInput["Twice"] = discord.ui.TextInput(label="1", custom_id="a")
        two: discord.ui.TextInput["Twice"] = discord.ui.TextInput(label="2", custom_id="a")

    @bot.tree.command(description="Opens a form")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Twice())

    await bot.tree.sync()
    with pytest.raises(NotAcknowledged, match="COMPONENT_CUSTOM_ID_DUPLICATED"):
        await ada.slash("ask")
