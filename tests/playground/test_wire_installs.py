"""Where the app is not in the server, or not in a server at all, with the real discord.py."""

import asyncio

import discord
import pytest
from discord import app_commands

from playground import Channel, ClientRefused, Playground, User
from playground.errors import ApiError
from playground.page import views
from playground.state import ChannelType
from tests.playground.conftest import Start
from tests.playground.inline_bot import Bot

Call = discord.Interaction[Bot]


class Abroad(Bot):
    """Has a command that a user may take along. calls: its uses."""

    def __init__(self) -> None:
        super().__init__(discord.Intents(guilds=True, guild_messages=True, dm_reactions=True))
        self.calls: list[Call] = []
        self.joined: asyncio.Queue[discord.Guild] = asyncio.Queue()

    async def setup_hook(self) -> None:
        @self.tree.command(description="Anywhere")
        @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
        @app_commands.allowed_installs(guilds=True, users=True)
        async def anywhere(interaction: Call, answers: int = 0) -> None:
            self.calls.append(interaction)
            await interaction.response.send_message("here", view=Once())
            try:
                for _ in range(answers):
                    await interaction.followup.send("and more")
            except discord.HTTPException as error:
                await interaction.edit_original_response(content=f"code {error.code}")

        await super().setup_hook()

    async def on_guild_join(self, guild: discord.Guild) -> None:
        self.joined.put_nowait(guild)


class Once(discord.ui.View):
    @discord.ui.button(label="Press", custom_id="press")
    async def press(self, interaction: Call, _: discord.ui.Button["Once"]) -> None:
        interaction.client.calls.append(interaction)  # type: ignore[attr-defined]
        await interaction.response.send_message("pressed")


def foreign(pg: Playground) -> Channel:
    return pg.add_channel("chat", pg.add_foreign_guild("another server"))


async def test_where_it_is_used_is_told(pg: Playground, start: Start, ada: User) -> None:
    bot = Abroad()
    await start(bot)
    chat, group = foreign(pg), pg.add_group(ada, pg.user("bea"))
    for channel in (chat, group):
        with pytest.raises(ClientRefused, match="installations"):
            await ada.slash("anywhere", channel=channel)
    pg.install(ada)
    told = []
    for channel in (pg.channel, pg.dm(ada), chat, group):
        payload = (await ada.slash("anywhere", channel=channel)).payload()
        told.append((payload["context"], payload["authorizing_integration_owners"]))
    own = {"1": str(ada.id)}
    assert told == [
        (0, {"0": str(pg.guild.id), **own}),
        (1, {"0": "0", **own}),
        (0, own),
        (2, own),
    ]
    assert [call.guild_id for call in bot.calls] == [pg.guild.id, None, chat.guild.id, None]  # type: ignore[union-attr]
    assert [call.is_user_integration() for call in bot.calls] == [True] * 4
    assert bot.get_guild(chat.guild.id) is None  # type: ignore[union-attr]
    assert pg.violations == []


async def test_there_the_bot_reaches_nothing_but_the_interaction(
    pg: Playground, start: Start, ada: User
) -> None:
    bot = Abroad()
    await start(bot)
    pg.install(ada)
    for channel in (foreign(pg), pg.add_group(ada)):
        call = await ada.slash("anywhere", channel=channel)
        message = await call.wait()
        with pytest.raises(discord.Forbidden) as error:
            await bot.get_partial_messageable(channel.id).send("x")
        assert error.value.code == 50001
        await ada.react(message, "🔁")
    assert bot.all("react") == []
    # A press by another, too, is answered by the installation of the first.
    bea = pg.user("bea")
    assert channel.people == [ada]
    channel.people.append(bea)
    pressed = await bea.click(message, "press")
    assert pressed.payload()["authorizing_integration_owners"] == {"1": str(ada.id)}
    assert bot.calls[-1].user.id == bea.id
    assert pg.violations == []


async def test_only_five_follow_ups_there(pg: Playground, start: Start, ada: User) -> None:
    await start(Abroad())
    pg.install(ada)
    here = await ada.slash("anywhere", answers=6)
    await pg.wait_for(lambda: len(here.followups) == 6)
    call = await ada.slash("anywhere", answers=6, channel=foreign(pg))
    assert (await call.wait(lambda m: "code" in m.content)).content == "code 40094"
    assert len(call.followups) == 5
    assert "40094" in pg.violations.pop()
    assert pg.violations == []


async def test_without_the_permission_answers_are_private(
    pg: Playground, start: Start, ada: User
) -> None:
    await start(Abroad())
    pg.install(ada)
    chat = foreign(pg)
    assert not (await ada.slash("anywhere", channel=chat)).ephemeral
    pg.deny(chat, "use_external_apps", account=ada)
    assert (await ada.slash("anywhere", channel=chat)).ephemeral
    pg.deny(pg.channel, "use_external_apps", account=ada)
    assert not (await ada.slash("anywhere")).ephemeral


async def test_a_new_server_and_who_invited_it(pg: Playground, start: Start, ada: User) -> None:
    bot = Abroad()
    await start(bot)
    guild = pg.add_guild("new", invited_by=ada, welcome=True)
    joined = await asyncio.wait_for(bot.joined.get(), 20)
    assert joined.system_channel is not None
    assert joined.system_channel.name == "welcome"
    with pytest.raises(discord.Forbidden):
        [entry async for entry in joined.audit_logs()]
    pg.give_role(pg.bot, pg.add_role("looks", "view_audit_log", guild=guild))
    action = discord.AuditLogAction.bot_add
    (entry,) = [entry async for entry in joined.audit_logs(action=action)]
    assert (entry.user and entry.user.id, entry.target and entry.target.id) == (ada.id, pg.bot.id)
    pg.remove_guild(guild)
    pg.join(guild)
    assert await asyncio.wait_for(bot.joined.get(), 20) == joined
    assert pg.violations == []


async def test_announcement_voice_and_stage_channels(
    pg: Playground, start: Start, ada: User
) -> None:
    bot = await start()
    kinds = {
        ChannelType.ANNOUNCEMENT: discord.TextChannel,
        ChannelType.VOICE: discord.VoiceChannel,
        ChannelType.STAGE: discord.StageChannel,
    }
    for kind, known in kinds.items():
        channel = pg.add_channel("room", kind=kind)
        assert (await ada.slash("panel", channel=channel)).message is not None
        assert isinstance(bot.get_channel(channel.id), known)
        await bot.get_partial_messageable(channel.id).send("hello")
    pg.deny(channel, "connect")
    with pytest.raises(discord.Forbidden):
        await bot.get_partial_messageable(channel.id).send("hello")
    assert pg.violations == []


def test_the_page_is_told_which_commands_a_place_has(pg: Playground, ada: User) -> None:
    pg.core.world.commands[None] = {
        1: {"id": "1", "name": "here", "type": 1, "contexts": [0], "integration_types": [0]},
        2: {
            "id": "2",
            "name": "all",
            "type": 1,
            "contexts": [0, 1, 2],
            "integration_types": [0, 1],
        },
    }
    foreign(pg)
    pg.dm(ada)
    pg.add_group(ada)

    def told() -> dict[str, list[str]]:
        shown = views.world(pg.core, ada, [ada])["channels"]
        return {entry["name"]: entry["commands"] for entry in shown}

    assert told() == {
        "general": ["1", "2"], "after-dark": ["1", "2"], "chat": [], "Imagen": ["2"], "ada": [],
    }  # fmt: skip
    pg.install(ada)
    assert (told()["chat"], told()["ada"]) == (["2"], ["2"])


async def test_slowmode_is_for_users(pg: Playground, start: Start, ada: User) -> None:
    bot = await start()
    changed = asyncio.create_task(bot.wait_for("guild_channel_update", timeout=20))
    await asyncio.sleep(0)
    pg.set_slowmode(pg.channel, 30)
    _, after = await changed
    assert isinstance(after, discord.TextChannel)
    assert after.slowmode_delay == 30
    await bot.get_partial_messageable(pg.channel.id).send("one")
    await bot.get_partial_messageable(pg.channel.id).send("two")
    await ada.say(pg.channel, "one")
    with pytest.raises((ClientRefused, ApiError), match="slow"):
        await ada.say(pg.channel, "two")
