"""/admin broadcast: a note of the owners to every server, once each."""

import discord
from discord import app_commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.forms import entered, open_form
from bot.chat.ui.actions import routed_button
from bot.chat.ui.acts import maintenance
from bot.chat.ui.forms.broadcast import BROADCAST, BroadcastFormId, BroadcastId, broadcast_form
from bot.errors import Refused
from bot.store import Store, discord_community, discord_person
from bot.store.forms import Entered
from cogs.admin.group import Commands, check_owner, say_to


class Broadcasting:
    """Asks for the text, shows how it will look, and sends it once the owner says so."""

    def __init__(self, bot: ImagenBot, store: Store) -> None:
        self._bot = bot
        self._store = store

    async def ask(self, interaction: Interaction) -> None:
        await open_form(interaction, broadcast_form(say_to(interaction)))

    async def preview(self, interaction: Interaction) -> None:
        text = entered(interaction).get(BROADCAST, "").strip()
        if not text:
            raise Refused("admin.broadcast.empty")
        person = discord_person(interaction.user.id)
        form_id = await self._store.forms.keep(
            person, Entered(str(BroadcastFormId()), {BROADCAST: text})
        )
        say, count = say_to(interaction), len(self._servers())
        view = discord.ui.View(timeout=None)
        label = say("admin.broadcast.send", count=count)
        view.add_item(routed_button(label, BroadcastId(form_id), "📣", discord.ButtonStyle.primary))
        await interaction.response.send_message(
            maintenance(say, text),
            view=view,
            ephemeral=True,
            allowed_mentions=discord.AllowedMentions.none(),
            suppress_embeds=True,
        )

    async def send(self, interaction: Interaction, form_id: str) -> None:
        person = discord_person(interaction.user.id)
        kept = await self._store.forms.find(form_id, person)
        if kept is None or kept.of != str(BroadcastFormId()):
            raise Refused("admin.broadcast.gone")
        await interaction.response.defer()
        servers = self._servers()
        if not await self._store.acts.announce(form_id, kept.fields[BROADCAST], person, servers):
            raise Refused("admin.broadcast.twice")
        text = say_to(interaction)("admin.broadcast.sending", count=len(servers))
        await interaction.edit_original_response(content=text, view=None)

    def _servers(self) -> list[str]:
        blocked = self._bot.services.backend.queue.blocked
        every = (discord_community(guild.id) for guild in self._bot.guilds)
        return [community for community in every if not blocked.server(community)]


class BroadcastForm(Component[BroadcastFormId]):
    ids = BroadcastFormId

    def __init__(self, broadcasting: Broadcasting) -> None:
        self._broadcasting = broadcasting

    async def check(self, interaction: Interaction, custom_id: BroadcastFormId) -> None:
        await check_owner(interaction)

    async def use(self, interaction: Interaction, custom_id: BroadcastFormId) -> None:
        await self._broadcasting.preview(interaction)


class BroadcastButton(Component[BroadcastId]):
    ids = BroadcastId

    def __init__(self, broadcasting: Broadcasting) -> None:
        self._broadcasting = broadcasting

    async def check(self, interaction: Interaction, custom_id: BroadcastId) -> None:
        await check_owner(interaction)

    async def use(self, interaction: Interaction, custom_id: BroadcastId) -> None:
        await self._broadcasting.send(interaction, custom_id.form_id)


def commands(bot: ImagenBot) -> Commands:
    broadcasting = Broadcasting(bot, bot.services.backend.store)
    bot.components.add(BroadcastForm(broadcasting), BroadcastButton(broadcasting))
    return (
        app_commands.Command(
            name="broadcast",
            description="command.admin.broadcast.description",
            callback=broadcasting.ask,
        ),
    )
