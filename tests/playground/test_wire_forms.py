"""Forms with every kind of field, and context menu commands, with the real discord.py."""

from collections.abc import Iterator
from typing import Any

import discord
import pytest
from discord import ui

from playground import ClientRefused, File, NotAcknowledged, Playground, User
from tests.playground.conftest import Start
from tests.playground.inline_bot import PNG, Bot


@pytest.fixture
def clean(pg: Playground) -> Iterator[None]:
    yield
    assert pg.violations == []


def line(**more: Any) -> ui.TextInput[Any]:
    return ui.TextInput(custom_id="prompt", **more)


class Everything(ui.Modal, title="Everything"):
    """As much as fits into one form."""

    def __init__(self) -> None:
        super().__init__(custom_id="everything")
        offered = [discord.SelectOption(label="Base", value="b", default=True)]
        offered.append(discord.SelectOption(label="Anime", value="a"))
        self.prompt = line(style=discord.TextStyle.paragraph, default="a fox", min_length=3)
        self.model = ui.Select[Any](custom_id="model", options=offered)
        self.files = ui.FileUpload[Any](custom_id="files", required=False, max_values=2)
        self.size = ui.RadioGroup[Any](
            custom_id="size",
            options=[
                discord.RadioGroupOption(label="Small", value="s"),
                discord.RadioGroupOption(label="Large", value="l", default=True),
            ],
        )
        self.add_item(ui.TextDisplay("Change what you like."))
        for text, field in (
            ("Prompt", self.prompt),
            ("Model", self.model),
            ("Pictures", self.files),
            ("Size", self.size),
        ):
            self.add_item(ui.Label(text=text, component=field, description="d"))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        sizes = [(file.filename, len(await file.read())) for file in self.files.values]
        await interaction.response.send_message(
            f"{self.prompt.value} {self.model.values} {sizes} {self.size.value}"
        )


class More(ui.Modal, title="More"):
    def __init__(self) -> None:
        super().__init__(custom_id="more")
        names = ("a", "b", "c")
        options = [discord.CheckboxGroupOption(label=n.upper(), value=n) for n in names]
        self.extras = ui.CheckboxGroup[Any](custom_id="extras", options=options, required=False)
        self.sure = ui.Checkbox[Any](custom_id="sure")
        self.who = ui.UserSelect[Any](custom_id="who", required=False)
        self.anyone = ui.MentionableSelect[Any](custom_id="anyone", required=False, max_values=2)
        self.where = ui.ChannelSelect[Any](custom_id="where", required=False)
        for field in (self.extras, self.sure, self.who, self.anyone, self.where):
            self.add_item(ui.Label(text="x", component=field))

    async def on_submit(self, interaction: discord.Interaction) -> None:
        picked = [*self.who.values, *self.anyone.values, *self.where.values]
        names = [getattr(value, "name", "?") for value in picked]
        await interaction.response.send_message(f"{self.extras.values} {self.sure.value} {names}")


@pytest.fixture
async def asker(start: Start) -> Bot:
    bot = Bot()

    @bot.tree.command(description="Opens a form")
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Everything())

    @bot.tree.command(description="Opens another")
    async def more(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(More())

    @bot.tree.context_menu(name="Edit")
    async def edit(interaction: discord.Interaction, message: discord.Message) -> None:
        bot.see("edited", (message, message.content))
        await interaction.response.send_modal(Everything())

    @bot.tree.context_menu(name="Delete")
    @discord.app_commands.default_permissions(manage_messages=True)
    async def delete(interaction: discord.Interaction, message: discord.Message) -> None:
        await message.delete()
        await interaction.response.send_message("gone", ephemeral=True)

    return await start(bot)


async def test_a_form_with_files_and_choices(
    pg: Playground, asker: Bot, ada: User, clean: None
) -> None:
    opened = await ada.slash("ask")
    sent = await ada.submit(
        opened,
        {
            "prompt": "an owl\nat night",
            "model": ["Anime"],
            "files": [File("my fox.png", PNG), ("owl.png", PNG + b"1")],
            "size": "Small",
        },
    )
    assert sent.message is not None
    files = [("my_fox.png", len(PNG)), ("owl.png", len(PNG) + 1)]
    assert sent.message.content == f"an owl\nat night ['a'] {files} s"
    # As Discord sends it.
    told, prompt, _, upload, _ = sent.data["components"]
    assert told == {"type": 10, "id": 1}
    assert (prompt["type"], prompt["id"], prompt["component"]["id"]) == (18, 2, 3)
    ids = upload["component"]["values"]
    assert list(sent.data["resolved"]["attachments"]) == ids
    assert sent.data["resolved"]["attachments"][ids[0]]["ephemeral"] is True
    meta = sent.message.interaction
    assert meta is not None
    assert (meta.type, meta.parent) == (5, opened)


async def test_a_form_left_as_it_is(pg: Playground, asker: Bot, ada: User, clean: None) -> None:
    sent = await ada.submit(await ada.slash("ask"), {})
    assert sent.message is not None
    assert sent.message.content == "a fox ['b'] [] l"
    assert "resolved" not in sent.data


async def test_checkboxes_users_and_channels(
    pg: Playground, asker: Bot, ada: User, clean: None
) -> None:
    painters = pg.add_role("painters")
    opened = await ada.slash("more")
    sent = await ada.submit(
        opened,
        {
            "extras": ["c", "A"],
            "sure": True,
            "who": [ada],
            "anyone": [pg.user("bea"), painters],
            "where": [pg.channel],
        },
    )
    assert sent.message is not None
    names = ["ada", "bea", "painters", "general"]
    assert sent.message.content == f"['c', 'a'] True {names}"
    sent = await ada.submit(await ada.slash("more"), {})
    assert sent.message is not None
    assert sent.message.content == "[] False []"


async def test_what_the_client_does_not_send(asker: Bot, ada: User, clean: None) -> None:
    opened = await ada.slash("ask")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"prompt": "x"}, "takes 3 to 4000 characters"),
        ({"model": ["c"]}, "has no option 'c'; it has: b, a"),
        ({"model": []}, "takes 1 to 1 values; 0"),
        ({"files": [File(f"{n}.png", PNG) for n in range(3)]}, "takes 1 to 2 values; 3"),
        ({"size": None}, "takes 1 to 1 values; 0"),
        ({"seed": "1"}, "has no field"),
    ]
    for values, said in wrong:
        with pytest.raises(ClientRefused, match=said):
            await ada.submit(opened, values)
    opened = await ada.slash("more")
    with pytest.raises(ClientRefused, match="is not an offered account"):
        await ada.submit(opened, {"who": [asker]})


async def test_a_form_that_discord_refuses(pg: Playground, start: Start, ada: User) -> None:
    pg.ack_deadline = 0.2
    bot = Bot()

    @bot.tree.command(description="Opens nonsense")
    async def ask(interaction: discord.Interaction) -> None:
        form = ui.Modal(title="x")
        group = ui.RadioGroup[Any](options=[discord.RadioGroupOption(label="Only", value="o")])
        form.add_item(ui.Label(text="x", component=group))
        await interaction.response.send_modal(form)

    await start(bot)
    with pytest.raises(NotAcknowledged, match="options"):
        await ada.slash("ask")


# Context menu commands.


async def test_a_command_on_a_message(pg: Playground, asker: Bot, ada: User, clean: None) -> None:
    bea = pg.user("bea")
    said = await bea.say(pg.channel, "look at this")
    opened = await ada.context_menu("Edit", said)
    message, content = await asker.first("edited")
    assert (message.id, content) == (said.id, "look at this")
    assert opened.data["target_id"] == str(said.id)
    assert opened.data["resolved"]["messages"][str(said.id)]["author"]["id"] == str(bea.id)
    sent = await ada.submit(opened, {"prompt": "an owl"})
    assert sent.message is not None
    assert sent.message.content.startswith("an owl")
    with pytest.raises(ClientRefused, match="'Paint again'"):
        await ada.context_menu("Paint again", said)


async def test_who_is_offered_a_command_on_a_message(
    pg: Playground, asker: Bot, ada: User, clean: None
) -> None:
    said = await ada.say(pg.channel, "x")
    with pytest.raises(ClientRefused, match="needs permissions"):
        await ada.context_menu("Delete", said)
    pg.give_role(ada, pg.add_role("moderators", "manage_messages"))
    pg.give_role(pg.bot, pg.add_role("bots", "manage_messages"))
    call = await ada.context_menu("Delete", said)
    assert call.message is not None
    assert (call.message.content, said.deleted) == ("gone", True)
    with pytest.raises(ClientRefused, match="does not exist any more"):
        await ada.context_menu("Edit", said)
    with pytest.raises(ClientRefused, match="ephemeral messages have no"):
        await ada.context_menu("Edit", call.message)
    pg.deny(pg.channel, "use_application_commands", account=ada)
    with pytest.raises(ClientRefused, match="may not use commands"):
        await ada.context_menu("Edit", await ada.say(pg.channel, "y"))


async def test_fifteen_commands_on_messages(pg: Playground, bot: Bot) -> None:
    scope: list[Any] = [{"name": f"Command {n}", "type": 3} for n in range(15)]
    registered = await bot.http.bulk_upsert_global_commands(pg.bot.id, scope)
    assert len(registered) == 15
    assert pg.violations == []
    one: Any = {"name": "One more", "type": 3}
    with pytest.raises(discord.HTTPException) as refused:
        await bot.http.bulk_upsert_global_commands(pg.bot.id, [*scope, one])
    assert "APPLICATION_COMMANDS_MAXIMUM_NUMBER_REACHED" in pg.violations[-1]
    with pytest.raises(discord.HTTPException) as refused:
        await bot.http.upsert_global_command(pg.bot.id, one)
    assert (refused.value.status, refused.value.code) == (400, 30032)
    # One of the same name is replaced.
    await bot.http.upsert_global_command(pg.bot.id, scope[0])
