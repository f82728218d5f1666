"""Login, sync and interactions, with the real discord.py."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import discord
import pytest
from discord import app_commands

from playground import Attachment, ClientRefused, File, NotAcknowledged, Playground, User
from playground.options import Picker
from tests.parameters import mostly_long
from tests.playground.inline_bot import PNG, Bot

Start = Callable[..., Awaitable[Bot]]


@pytest.fixture(autouse=True)
def _clean(pg: Playground) -> Iterator[None]:
    """A good run leaves no violations; tests of refusals clear them after checking."""
    yield
    assert pg.violations == []


async def test_login_and_sync(pg: Playground, bot: Bot) -> None:
    assert pg.online
    assert pg.gateway_identifies == 1
    assert bot.user is not None
    assert bot.user.id == pg.bot.id
    assert [g.id for g in bot.guilds] == [pg.guild.id]
    assert {"options", "paint", "model", "Recipe", "Gallery"} <= set(pg.commands)
    ids = {c.name: c.id for c in await bot.tree.fetch_commands()}
    await bot.tree.sync()
    assert {c.name: c.id for c in await bot.tree.fetch_commands()} == ids
    guild = discord.Object(pg.guild.id)
    bot.tree.copy_global_to(guild=guild)
    synced = await bot.tree.sync(guild=guild)
    assert {c.guild_id for c in synced} == {pg.guild.id}
    assert pg.commands.count("paint") == 2


async def test_bulk_overwrite_keeps_ids_and_raises_versions(pg: Playground, bot: Bot) -> None:
    before = {c["name"]: (c["id"], c["version"]) for c in pg.core.world.commands[None].values()}
    command = bot.tree.get_command("panel")
    assert isinstance(command, app_commands.Command)
    command.description = "Something else"
    bot.tree.remove_command("slow")
    await bot.tree.sync()
    after = {c["name"]: (c["id"], c["version"]) for c in pg.core.world.commands[None].values()}
    assert after.keys() == before.keys() - {"slow"}
    assert after["paint"] == before["paint"]
    assert after["panel"][0] == before["panel"][0]
    assert after["panel"][1] != before["panel"][1]


async def test_wrong_token(pg: Playground) -> None:
    async with Bot() as bot:
        with pytest.raises(discord.LoginFailure):
            await bot.login("not.the.token")
    pg.violations.clear()


async def test_every_kind_of_option(pg: Playground, bot: Bot, ada: User) -> None:
    role = pg.add_role("painter")
    call = await ada.slash(
        "options",
        text="hello",
        whole=3,
        real=2,
        yes=True,
        who=ada,
        role=role,
        place=pg.nsfw_channel,
        any_of=role,
        file=("a.png", PNG),
        pick="Two",
    )
    assert call.message is not None
    names = ["ada", "painter", "after-dark", "painter"]
    assert call.message.content == f"hello 3 2.0 True {names} {len(PNG)} 2"
    assert call.ack_ms is not None
    assert call.command_name == "options"
    assert bot.errors == []


async def test_a_file_is_told_as_discord_tells_it_and_fetched_from_its_address(
    pg: Playground, bot: Bot, ada: User
) -> None:
    call = await ada.slash("options", text="hello", file=File("my fox.png", PNG))
    [value] = [o["value"] for o in call.data["options"] if o["name"] == "file"]
    told = call.data["resolved"]["attachments"][value]
    assert (told["id"], told["filename"], told["title"]) == (value, "my_fox.png", "my fox")
    assert (told["content_type"], told["size"]) == ("image/png", len(PNG))
    assert (told["width"], told["height"], told["ephemeral"]) == (3, 2, True)
    assert told["url"].startswith(f"{pg.core.base_url}/ephemeral-attachments/")
    if pg.core.openapi.available:
        schema = "/components/schemas/AttachmentResponse"
        problems = [e.message for e in pg.core.openapi._errors("answer", schema, told)]
        assert problems == []
    # The bot fetched it: the number in its answer comes from it.
    assert call.message is not None
    assert f" {len(PNG)} " in call.message.content
    assert await pg.download(told["url"]) == PNG
    unsigned = told["url"].split("?")[0]
    with pytest.raises(aiohttp.ClientResponseError, match="404"):
        await pg.download(unsigned)


@pytest.mark.parametrize(
    ("options", "said"),
    mostly_long(
        [
            ({}, "'text' is required"),
            ({"text": "x"}, "allowed: 2 to 10"),
            ({"text": "x" * 11}, "allowed: 2 to 10"),
            ({"text": 5}, "is not text"),
            ({"text": "ok", "whole": 10}, "allowed: 1 to 9"),
            ({"text": "ok", "whole": 1.5}, "is not a whole number"),
            ({"text": "ok", "whole": True}, "is not a whole number"),
            ({"text": "ok", "real": 0.1}, "allowed: 0.5 to 2.5"),
            ({"text": "ok", "yes": 1}, "is not True or False"),
            ({"text": "ok", "pick": 3}, "is not a choice; allowed: 1, 2"),
            ({"text": "ok", "who": 3}, "is not a user"),
            (
                {"text": "ok", "file": "https://example.com/a.png"},
                "is not a file: File(name, bytes)",
            ),
            ({"text": "ok", "file": b"a"}, "is not a file"),
            ({"text": "ok", "colour": "red"}, "has no option ['colour']"),
        ],
        usual=8,
    ),
)
async def test_the_client_refuses(
    bot: Bot, ada: User, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ClientRefused) as refused:
        await ada.slash_options("options", options)
    assert said in str(refused.value)


async def test_a_file_that_is_too_large_even_with_nitro(
    pg: Playground, bot: Bot, ada: User
) -> None:
    def upload(name: str, data: bytes) -> Attachment:
        raise AssertionError("it must not come so far")

    assert Picker.file_max == 500 * 1024 * 1024
    picker = Picker(pg.core.world, ada, pg.channel, upload, file_max=len(PNG) - 1)
    with pytest.raises(ClientRefused, match=f"{len(PNG)} bytes; allowed: 0 to {len(PNG) - 1}"):
        picker.slash("options", {"text": "hello", "file": File("a.png", PNG)})


async def test_unknown_hidden_and_incomplete_commands(pg: Playground, bot: Bot, ada: User) -> None:
    with pytest.raises(ClientRefused, match="there is no command 'nope'"):
        await ada.slash("nope")
    with pytest.raises(ClientRefused, match="is incomplete; continue with one of: info"):
        await ada.slash("model")
    with pytest.raises(ClientRefused, match="age-restricted"):
        await ada.slash("adult")
    pg.deny(pg.channel, "use_application_commands", account=ada)
    with pytest.raises(ClientRefused, match="may not use commands"):
        await ada.slash("panel")
    assert (await ada.slash("adult", channel=pg.nsfw_channel)).message is not None
    call = await ada.slash("model info", name="demo", channel=pg.nsfw_channel)
    assert call.message is not None
    assert call.message.content == "about demo"
    assert call.command_name == "model info"


async def test_autocomplete(bot: Bot, ada: User) -> None:
    choices = await ada.autocomplete("paint", "lora", "ani", prompt="fox")
    assert [(c.name, c.value) for c in choices] == [("ani for fox", "ani-1")]
    with pytest.raises(ClientRefused, match="has no autocomplete; these do: lora"):
        await ada.autocomplete("paint", "prompt", "x")


async def test_deferred_answer_is_filled_in(pg: Playground, bot: Bot, ada: User) -> None:
    call = await ada.slash("paint", prompt="a fox")
    assert (call.message, call.deferred) == (None, True)
    bot.gate.set()
    message = await call.wait(lambda m: bool(m.attachments), timeout=5)
    assert call.message is message
    assert message.content == "a fox"
    (attachment,) = message.attachments
    assert attachment.filename == "fox.png"
    assert attachment.description == "a fox"
    assert attachment.content_type == "image/png"
    assert (attachment.width, attachment.height, attachment.size) == (3, 2, len(PNG))
    assert await pg.download(attachment) == PNG
    assert [snapshot.content for _, snapshot in message.edits] == ["a fox"]


async def test_wait_prints_the_last_state(bot: Bot, ada: User) -> None:
    call = await ada.slash("panel")
    with pytest.raises(TimeoutError, match="content='panel'"):
        await call.wait(lambda m: bool(m.attachments), timeout=0)


async def test_ephemeral_answer_and_followups(pg: Playground, bot: Bot, ada: User) -> None:
    call = await ada.slash("secret")
    assert call.ephemeral
    message = await call.wait(timeout=5)
    more = await call.wait_followup(timeout=5)
    # The first follow-up replaces the deferred answer.
    assert (message.content, more.content) == ("hush", "more")
    assert message.ephemeral
    assert more.ephemeral
    with pytest.raises(ClientRefused, match="only visible to ada"):
        await pg.user("bob").context_menu("Recipe", message)
    channel = bot.get_channel(pg.channel.id)
    assert isinstance(channel, discord.TextChannel)
    assert [m async for m in channel.history()] == []
    assert bot.all("message") == []


async def test_buttons(pg: Playground, bot: Bot, ada: User) -> None:
    message = await (await ada.slash("panel")).wait()
    for name in ("again", "Again", "🔁"):
        call = await ada.click(message, name)
        assert call.message is message
        assert (await call.wait_followup(timeout=5)).content == "done again"
    with pytest.raises(ClientRefused, match="is disabled"):
        await ada.click(message, "Grey")
    with pytest.raises(ClientRefused, match="has no component 'Gone'; it has: 🔁 / Again"):
        await ada.click(message, "Gone")
    call = await ada.click(message, "Flip")
    assert call.message is message
    assert (message.content, message.components) == ("flipped", [])


async def test_selects(bot: Bot, ada: User) -> None:
    message = await (await ada.slash("panel")).wait()
    call = await ada.select(message, "style", ["Ink", "Oil"])
    assert call.message is not None
    assert call.message.content == "Ink,Oil"
    assert call.message.ephemeral
    call = await ada.select(message, "who", [ada])
    assert call.message is not None
    assert call.message.content == "ada"
    with pytest.raises(ClientRefused, match="takes 1 to 2 values"):
        await ada.select(message, "style", [])
    with pytest.raises(ClientRefused, match="has no option 'Tar'; it has: Oil, Ink"):
        await ada.select(message, "style", ["Tar"])


async def test_form(pg: Playground, bot: Bot, ada: User) -> None:
    message = await (await ada.slash("panel")).wait()
    opened = await ada.click(message, "Form")
    assert opened.modal is not None
    assert opened.modal["title"] == "Change it"
    with pytest.raises(ClientRefused, match="must be filled in"):
        await ada.submit(opened, {})
    with pytest.raises(ClientRefused, match="takes 0 to 20 characters; 21"):
        await ada.submit(opened, {"prompt": "x" * 21})
    with pytest.raises(ClientRefused, match=r"has no field \['seed'\]; it has: prompt"):
        await ada.submit(opened, {"seed": "1"})
    with pytest.raises(ClientRefused, match="was opened for ada"):
        await pg.user("bob").submit(opened, {"prompt": "x"})
    sent = await ada.submit(opened, {"prompt": "owl"})
    assert sent.message is not None
    assert sent.message.content == "form said owl"


async def test_context_menus(pg: Playground, bot: Bot, ada: User) -> None:
    said = await ada.say(pg.channel, "look")
    call = await ada.context_menu("Recipe", said)
    assert call.message is not None
    assert call.message.content == f"of {said.id}"
    call = await ada.context_menu("Gallery", pg.user("bob"))
    assert call.message is not None
    assert call.message.content == "of bob"


async def test_private_channel_thread_and_locale(pg: Playground, bot: Bot) -> None:
    seen: list[tuple[str, object]] = []

    @bot.tree.command(description="Where am I")
    async def where(interaction: discord.Interaction) -> None:
        seen.append((str(interaction.locale), interaction.channel))
        await interaction.response.send_message("here")

    await bot.tree.sync()
    emil = pg.user("emil", locale="de")
    thread = pg.add_thread(pg.channel, "foxes")
    assert (await emil.slash("where", channel=pg.dm(emil))).message is not None
    assert (await emil.slash("where", channel=thread)).message is not None
    assert [locale for locale, _ in seen] == ["de", "de"]
    assert isinstance(seen[0][1], discord.DMChannel)
    assert isinstance(seen[1][1], discord.Thread)
    assert seen[1][1].parent_id == pg.channel.id


async def test_late_answer(pg: Playground, bot: Bot, ada: User) -> None:
    pg.ack_deadline = 0.05
    with pytest.raises(NotAcknowledged, match=r"did not answer within 0\.05 s; the bot is online"):
        await ada.slash("slow")
    bot.gate.set()
    error = await bot.first("error")
    assert isinstance(error, discord.NotFound)
    assert error.code == 10062
    assert "10062" in pg.violations.pop()


async def test_answering_twice_and_too_early(pg: Playground, bot: Bot, ada: User) -> None:
    codes: list[int] = []
    done = asyncio.Event()

    @bot.tree.command(description="Wrong in every way")
    async def clumsy(interaction: discord.Interaction) -> None:
        # Around discord.py's own guard, as a second process would do it.
        try:
            await interaction.followup.send("too early")
        except discord.HTTPException as error:
            codes.append(error.code)
        await interaction.response.send_message("first")
        interaction.response._response_type = None
        try:
            await interaction.response.send_message("second")
        except discord.HTTPException as error:
            codes.append(error.code)
        done.set()

    await bot.tree.sync()
    await ada.slash("clumsy")
    await done.wait()
    assert codes == [10015, 40060]
    assert ["10015" in pg.violations[0], "40060" in pg.violations[1]] == [True, True]
    pg.violations.clear()


async def test_expired_token(pg: Playground, bot: Bot, ada: User) -> None:
    call = await ada.slash("paint", prompt="fox")
    pg.expire_interactions()
    bot.gate.set()
    error = await bot.first("error")
    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (401, 50027)
    assert call.message is None


async def test_token_of_fifteen_minutes(pg: Playground, bot: Bot, ada: User) -> None:
    call = await ada.slash("paint", prompt="fox")
    call.created -= 15 * 60
    bot.gate.set()
    error = await bot.first("error")
    assert isinstance(error, discord.HTTPException)
    assert error.code == 50027
    # It was not broken on purpose: the bot should have known.
    assert "50027" in pg.violations.pop()


async def test_the_bot_cannot_use_a_wrong_callback(pg: Playground, bot: Bot, ada: User) -> None:
    pg.ack_deadline = 0.2

    @bot.tree.command(description="Updates a message that is not there")
    async def update(interaction: discord.Interaction) -> None:
        http = discord.webhook.async_.async_context.get()
        params = discord.webhook.async_.interaction_response_params(type=7, data={"content": "x"})
        await http.create_interaction_response(
            interaction.id, interaction.token, session=interaction._session, params=params
        )

    await bot.tree.sync()
    with pytest.raises(NotAcknowledged):
        await ada.slash("update")
    assert "type 7 cannot answer an interaction of type 2" in pg.violations.pop()
