"""/moderate: who may use the bot in one server, and how soon again."""

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import mention
from bot.chat.here import here_of
from bot.chat.owners import Owners
from bot.chat.ui.moderation import blocks_text
from bot.errors import Refused
from bot.queue import JobQueue
from bot.store import Store, discord_person
from bot.worker.blocking import Blocking
from cogs.blockable import check_may_be_blocked
from cogs.places import moderates_server


@app_commands.default_permissions(manage_messages=True)
class Moderate(
    commands.GroupCog, group_name="moderate", group_description="command.moderate.description"
):
    """For those who may delete other people's messages in the whole server. Servers can grant a
    command to anyone, so that is checked at each use."""

    def __init__(self, store: Store, queue: JobQueue, blocking: Blocking, owners: Owners) -> None:
        self._store = store
        self._queue = queue
        self._blocking = blocking
        self._owners = owners

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        if not moderates_server(interaction):
            raise app_commands.MissingPermissions(["manage_messages"])
        return True

    @app_commands.command(name="block", description="command.moderate.block.description")
    @app_commands.describe(user="command.moderate.block.user")
    async def block(self, interaction: Interaction, user: discord.User | discord.Member) -> None:
        if user.bot:
            raise Refused("moderate.bot")
        within = interaction.guild if isinstance(user, discord.Member) else None
        await check_may_be_blocked(interaction, self._owners, user.id, within=within)
        added = await self._blocking.block(
            "person", discord_person(user.id), within=_here(interaction), actor=_actor(interaction)
        )
        await _answer(interaction, "moderate.blocked" if added else "moderate.already", user.id)

    @app_commands.command(name="unblock", description="command.moderate.unblock.description")
    @app_commands.describe(user="command.moderate.unblock.user")
    async def unblock(self, interaction: Interaction, user: discord.User) -> None:
        removed = await self._blocking.unblock(
            "person", discord_person(user.id), within=_here(interaction), actor=_actor(interaction)
        )
        await _answer(interaction, "moderate.unblocked" if removed else "moderate.not", user.id)

    @app_commands.command(name="list", description="command.moderate.list.description")
    async def show(self, interaction: Interaction) -> None:
        blocks = await self._store.blocks.within(_here(interaction))
        text = blocks_text(here_of(interaction).say, blocks)
        await interaction.response.send_message(text, ephemeral=True)

    @app_commands.command(name="reset", description="command.moderate.reset.description")
    @app_commands.describe(user="command.moderate.reset.user")
    async def reset(self, interaction: Interaction, user: discord.User) -> None:
        done = await self._queue.start_over(
            discord_person(user.id), _here(interaction), actor=_actor(interaction)
        )
        await _answer(interaction, "moderate.reset" if done else "moderate.unused", user.id)


async def _answer(interaction: Interaction, code: str, user_id: int) -> None:
    say = here_of(interaction).say
    await interaction.response.send_message(say(code, user=mention(user_id)), ephemeral=True)


def _here(interaction: Interaction) -> str:
    """The server. Raises Refused outside of one, where there is nothing to moderate."""
    community = here_of(interaction).place.community
    if community is None:
        raise Refused("moderate.server_only")
    return community


def _actor(interaction: Interaction) -> str:
    return discord_person(interaction.user.id)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(Moderate(backend.store, backend.queue, services.blocking, services.owners))
