"""Components V2 over the wire, with discord.py's ``LayoutView``."""

import re
from collections.abc import Awaitable, Iterator
from typing import Any, Self

import discord
import pytest
from discord import ui

from playground import ClientRefused, Message, Playground, User
from tests.playground.conftest import Start
from tests.playground.inline_bot import PNG, Bot, picture

V2 = 1 << 15


class Again(ui.DynamicItem[ui.Button[Any]], template=r"again:(?P<job>\d+)"):
    """A button that knows nothing but its custom_id, as after a restart."""

    def __init__(self, job: int) -> None:
        super().__init__(ui.Button(label="Again", emoji="🔁", custom_id=f"again:{job}"))
        self.job = job

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction, item: ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(int(match["job"]))

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(view=layout(f"job {self.job} again", self.job + 1))


class Pick(ui.Select[Any]):
    def __init__(self) -> None:
        offered = [discord.SelectOption(label=name, value=name.lower()) for name in ("One", "Two")]
        super().__init__(custom_id="pick", options=offered, max_values=2)

    async def callback(self, interaction: discord.Interaction) -> None:
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.TextDisplay(",".join(self.values)))
        await interaction.response.send_message(view=view, ephemeral=True)


def layout(text: str, job: int = 1, file: str = "fox.png") -> ui.LayoutView:
    """One of everything: a gallery, text, a section, a separator, buttons and a select."""
    view = ui.LayoutView(timeout=None)
    fox = f"attachment://{file}"
    container: ui.Container[Any] = ui.Container(
        ui.MediaGallery(discord.MediaGalleryItem(fox, description="A fox", spoiler=True)),
        ui.TextDisplay(text),
        ui.Separator(spacing=discord.SeparatorSpacing.large),
        ui.Section(ui.TextDisplay("small"), accessory=ui.Thumbnail(fox, description="Fox")),
        ui.Section(ui.TextDisplay("-# seed 1"), accessory=Again(job + 1000)),
        accent_color=discord.Color(0x5865F2),
    )
    link = ui.Button[Any](label="Source", url="https://example.com/fox")
    container.add_item(ui.ActionRow(Again(job), link))
    view.add_item(container)
    view.add_item(ui.ActionRow(Pick()))
    return view


@pytest.fixture
def clean(pg: Playground) -> Iterator[None]:
    yield
    assert pg.violations == []


@pytest.fixture
async def painter(pg: Playground, start: Start) -> Bot:
    """A bot with a command for every way of sending a layout."""
    bot = Bot()

    @bot.tree.command(description="Reply with a layout")
    async def show(interaction: discord.Interaction) -> None:
        files = [picture(), picture("extra.txt", data=b"hi")]
        await interaction.response.send_message(view=layout("hello"), files=files)

    @bot.tree.command(description="Defer, then a layout")
    async def later(interaction: discord.Interaction) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(
            view=layout("done"), attachments=[picture(data=PNG)]
        )
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.TextDisplay(f"<@{interaction.user.id}> only you"))
        await interaction.followup.send(view=view, ephemeral=True)

    bot.add_dynamic_items(Again)
    return await start(bot)


def kinds(message: Message) -> list[int]:
    return [entry["type"] for entry in message.components]


async def test_a_layout_as_discord_tells_it(
    pg: Playground, painter: Bot, ada: User, clean: None
) -> None:
    message = await (await ada.slash("show")).wait()
    assert message.flags == V2
    assert (message.content, message.embeds) == ("", [])
    container, row = message.components
    assert (container["type"], container["accent_color"], container["spoiler"]) == (
        17,
        0x5865F2,
        False,
    )
    gallery, text, separator, section, _, buttons = container["components"]
    [item] = gallery["items"]
    fox, extra = message.attachments
    assert (item["description"], item["spoiler"]) == ("A fox", True)
    assert item["media"]["url"] == fox.url
    assert item["media"]["attachment_id"] == str(fox.id)
    assert (item["media"]["width"], item["media"]["height"]) == (3, 2)
    assert section["accessory"]["media"]["url"] == fox.url
    assert text["content"] == "hello"
    assert (separator["spacing"], separator["divider"]) == (2, True)
    again, link = buttons["components"]
    assert (again["custom_id"], link["url"]) == ("again:1", "https://example.com/fox")
    assert row["components"][0]["max_values"] == 2
    assert await pg.download(item["media"]["url"]) == PNG
    # Shown by a component: not among the attachments, where the unused file still is.
    channel = painter.get_channel(pg.channel.id)
    assert isinstance(channel, discord.TextChannel)
    fetched = await channel.fetch_message(message.id)
    assert [a.id for a in fetched.attachments] == [extra.id]
    assert fetched.flags.components_v2
    assert isinstance(fetched.components[0], discord.Container)
    assert ui.LayoutView.from_message(fetched).total_children_count == 15


async def test_every_way_to_send_one(pg: Playground, painter: Bot, ada: User, clean: None) -> None:
    call = await ada.slash("later")
    message = await call.wait(lambda m: bool(m.components))
    assert (message.flags, kinds(message)) == (V2, [17, 1])
    private = await call.wait_followup()
    assert (private.ephemeral, private.flags & V2) == (True, V2)
    assert private.mentions == {ada.id}
    channel = painter.get_channel(pg.channel.id)
    assert isinstance(channel, discord.TextChannel)
    sent = await channel.send(view=layout("sent"), file=picture())
    posted = await pg.wait_message(lambda m: m.id == sent.id)
    assert posted.flags == V2
    # An edit may leave out the flag's fields, show a new file, and drop the old one.
    await sent.edit(view=layout("edited", file="owl.png"), attachments=[picture("owl.png")])
    assert [a.filename for a in posted.attachments] == ["owl.png"]
    assert posted.components[0]["components"][1]["content"] == "edited"
    # A message without the flag gets it, once its content is gone.
    plain = await channel.send("plain")
    await plain.edit(content=None, view=layout("now"), attachments=[picture()])
    now = await pg.wait_message(lambda m: m.id == plain.id)
    assert (now.flags, now.content) == (V2, "")


async def test_buttons_and_selects_in_a_layout(
    pg: Playground, painter: Bot, ada: User, clean: None
) -> None:
    message = await (await ada.slash("show")).wait()
    call = await ada.click(message, "again:1")
    assert call.message is message
    assert message.components[0]["components"][1]["content"] == "job 1 again"
    # The accessory of a section is a button like any other.
    await ada.click(message, "again:1002")
    assert message.components[0]["components"][1]["content"] == "job 1002 again"
    with pytest.raises(ClientRefused, match="it sends nothing"):
        await ada.click(message, "Source")
    call = await ada.select(message, "pick", ["Two", "one"])
    assert call.message is not None
    assert call.message.ephemeral
    assert call.message.components[0]["content"] == "two,one"
    for values, said in (
        ([], "takes 1 to 2 values; 0"),
        (["one", "One"], "names one option twice"),
        (["three"], "has no option 'three'; it has: one, two"),
    ):
        with pytest.raises(ClientRefused, match=said):
            await ada.select(message, "pick", values)
    with pytest.raises(ClientRefused, match="only visible to ada"):
        await pg.user("bea").select(call.message, "pick", ["one"])


async def test_a_button_of_a_message_from_before_a_restart(
    pg: Playground, painter: Bot, ada: User, start: Start, clean: None
) -> None:
    message = await (await ada.slash("show")).wait()
    await painter.close()
    await pg.wait_offline()
    bot = Bot()
    bot.add_dynamic_items(Again)
    await start(bot)
    await ada.click(message, "🔁")
    assert message.components[0]["components"][1]["content"].endswith("again")


async def test_every_kind_of_select(pg: Playground, start: Start, ada: User, clean: None) -> None:
    bot = Bot()
    seen: list[list[str]] = []

    async def told(select: Any, interaction: discord.Interaction) -> None:
        seen.append([getattr(value, "name", "?") for value in select.values])
        await interaction.response.defer()

    class Users(ui.UserSelect[Any]):
        callback = told

    class Roles(ui.RoleSelect[Any]):
        callback = told

    class Anyone(ui.MentionableSelect[Any]):
        callback = told

    class Places(ui.ChannelSelect[Any]):
        callback = told

    @bot.tree.command(description="Asks")
    async def ask(interaction: discord.Interaction) -> None:
        view = ui.LayoutView(timeout=None)
        text = [discord.ChannelType.text]
        view.add_item(
            ui.Container(
                ui.ActionRow(Users(custom_id="users", max_values=2)),
                ui.ActionRow(Roles(custom_id="roles")),
                ui.ActionRow(Anyone(custom_id="anyone", max_values=2)),
                ui.ActionRow(Places(custom_id="places", channel_types=text)),
            )
        )
        await interaction.response.send_message(view=view)

    await start(bot)
    painters, bea = pg.add_role("painters"), pg.user("bea")
    message = await (await ada.slash("ask")).wait()
    await ada.select(message, "users", [ada, bea])
    await ada.select(message, "roles", [painters])
    await ada.select(message, "anyone", [bea, painters])
    call = await ada.select(message, "places", [pg.channel])
    assert seen == [["ada", "bea"], ["painters"], ["bea", "painters"], ["general"]]
    assert call.data["values"] == [str(pg.channel.id)]
    assert list(call.data["resolved"]["channels"]) == [str(pg.channel.id)]
    for name, value, said in (
        ("users", painters, "is not an offered account"),
        ("roles", ada, "is not an offered role"),
        ("anyone", pg.channel, "is not an offered account or role"),
        ("places", pg.add_thread(pg.channel, "foxes"), "is of type 11, not"),
    ):
        with pytest.raises(ClientRefused, match=said):
            await ada.select(message, name, [value])


async def test_the_same_refusals_on_every_way_to_send(
    pg: Playground, start: Start, ada: User
) -> None:
    bot = Bot()
    refused: list[str] = []

    async def attempt(name: str, sending: Awaitable[object]) -> None:
        with pytest.raises(discord.HTTPException) as error:
            await sending
        assert error.value.code == 50035
        if "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND" in pg.violations[-1]:
            refused.append(name)

    class Wrong(ui.View):
        @ui.button(label="Wrong", custom_id="wrong")
        async def wrong(self, interaction: discord.Interaction, _: object) -> None:
            edit = interaction.response.edit_message
            await attempt("update", edit(content=None, view=layout("x")))
            await interaction.response.defer()

    @bot.tree.command(description="Shows a file that is not there")
    async def nothing(interaction: discord.Interaction) -> None:
        view = layout("x")
        await attempt("reply", interaction.response.send_message(view=view))
        await interaction.response.send_message("x", view=Wrong(timeout=None))
        await attempt("original", interaction.edit_original_response(content=None, view=view))
        await attempt("followup", interaction.followup.send(view=view))
        channel = interaction.channel
        assert isinstance(channel, discord.TextChannel)
        await attempt("send", channel.send(view=view))
        sent = await channel.send(view=view, file=picture())
        await attempt("edit", sent.edit(view=view, attachments=[]))
        bot.see("done", None)

    await start(bot)
    message = await (await ada.slash("nothing")).wait(timeout=5)
    await bot.first("done")
    await ada.click(message, "Wrong")
    assert refused == ["reply", "original", "followup", "send", "edit", "update"]
    assert (message.content, message.flags) == ("x", 0)


async def test_what_cannot_stand_beside_a_layout(pg: Playground, painter: Bot, ada: User) -> None:
    channel = painter.get_channel(pg.channel.id)
    assert isinstance(channel, discord.TextChannel)
    sent = await channel.send(view=layout("x"), file=picture())
    plain = await channel.send("plain")
    edits: list[Awaitable[object]] = [
        sent.edit(content="words"),
        sent.edit(embed=discord.Embed(title="x")),
        plain.edit(view=layout("x"), attachments=[picture()]),
    ]
    for edit in edits:
        with pytest.raises(discord.HTTPException) as refused:
            await edit
        assert "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2" in pg.violations[-1]
        assert refused.value.code == 50035
    with pytest.raises(discord.HTTPException) as refused:
        await sent.edit(view=None, attachments=[])
    assert refused.value.code == 50006
    first, second = pg.messages()
    assert (first.content, kinds(first), second.content) == ("", [17, 1], "plain")
