"""/admin block and /admin unblock: people and servers, everywhere; /admin server."""

import logging

import discord
from discord import app_commands
from discord.app_commands import Choice

from bot.chat.client import ImagenBot, Interaction
from bot.chat.ui.admin import servers_text
from bot.chat.ui.choices import CHOICES_MAX, labelled
from bot.chat.ui.markdown import one_line
from bot.chat.ui.moderation import blocks_text
from bot.errors import InvalidRequest, Refused
from bot.store import (
    EVERYWHERE,
    ActKind,
    Store,
    discord_community,
    discord_person,
)
from bot.worker.blocking import Blocking
from cogs.admin.group import Commands, OwnersGroup, answer, may_be_suggested, say_to

log = logging.getLogger(__name__)


async def suggest_servers(interaction: Interaction, text: str) -> list[Choice[str]]:
    """The servers whose name or ID holds `text`."""
    if not await may_be_suggested(interaction):
        return []
    wanted, servers = text.casefold(), interaction.client.guilds
    found = [
        guild for guild in servers if wanted in guild.name.casefold() or wanted in str(guild.id)
    ]
    return [labelled(guild.name, str(guild.id)) for guild in found[:CHOICES_MAX]]


class BlockCommands(OwnersGroup):
    """/admin block user, server and list."""

    def __init__(self, bot: ImagenBot, store: Store, blocking: Blocking) -> None:
        super().__init__(name="block", description="command.admin.block.description")
        self._bot = bot
        self._store = store
        self._blocking = blocking

    @app_commands.command(name="user", description="command.admin.block.user.description")
    @app_commands.describe(user="command.admin.block.user.user")
    async def block_user(self, interaction: Interaction, user: discord.User) -> None:
        if user.bot:
            raise Refused("moderate.bot")
        if await self._bot.services.owners.included(user.id):
            raise Refused("admin.block.owner")
        added = await self._blocking.block(
            "person",
            discord_person(user.id),
            within=EVERYWHERE,
            actor=discord_person(interaction.user.id),
        )
        code = "admin.block.user" if added else "admin.block.already"
        await answer(interaction, say_to(interaction)(code, user=user.mention))

    @app_commands.command(name="server", description="command.admin.block.server.description")
    @app_commands.describe(
        server="command.admin.block.server.server", leave="command.admin.block.server.leave"
    )
    @app_commands.autocomplete(server=suggest_servers)
    async def block_server(
        self, interaction: Interaction, server: str, leave: bool = False
    ) -> None:
        guild_id = parse_server(server)
        if guild_id in self._bot.services.backend.settings.admin_servers:
            raise Refused("admin.block.here")
        await interaction.response.defer(ephemeral=True, thinking=True)
        added = await self._blocking.block(
            "server",
            discord_community(guild_id),
            within=EVERYWHERE,
            actor=discord_person(interaction.user.id),
        )
        name = name_of(self._bot, guild_id)
        code = "admin.block.server" if added else "admin.block.already"
        text = say_to(interaction)(code, user=name, server=name)
        if leave and (guild := self._bot.get_guild(guild_id)) is not None:
            await leave_server(self._store, guild, interaction.user.id)
            text = f"{text} {say_to(interaction)('admin.server.left', server=name)}"
        await answer(interaction, text)

    @app_commands.command(name="list", description="command.admin.block.list.description")
    async def show(self, interaction: Interaction) -> None:
        blocks = await self._store.blocks.within(EVERYWHERE)
        await answer(interaction, blocks_text(say_to(interaction), blocks))


class UnblockCommands(OwnersGroup):
    """/admin unblock user and server."""

    def __init__(self, bot: ImagenBot, blocking: Blocking) -> None:
        super().__init__(name="unblock", description="command.admin.unblock.description")
        self._bot = bot
        self._blocking = blocking

    @app_commands.command(name="user", description="command.admin.unblock.user.description")
    @app_commands.describe(user="command.admin.unblock.user.user")
    async def unblock_user(self, interaction: Interaction, user: discord.User) -> None:
        removed = await self._blocking.unblock(
            "person",
            discord_person(user.id),
            within=EVERYWHERE,
            actor=discord_person(interaction.user.id),
        )
        if not removed and user.id in self._bot.services.backend.settings.blocked_users:
            raise Refused("admin.block.in_settings")
        code = "admin.block.undone" if removed else "admin.block.not"
        await answer(interaction, say_to(interaction)(code, user=user.mention))

    @app_commands.command(name="server", description="command.admin.unblock.server.description")
    @app_commands.describe(server="command.admin.unblock.server.server")
    @app_commands.autocomplete(server=suggest_servers)
    async def unblock_server(self, interaction: Interaction, server: str) -> None:
        guild_id = parse_server(server)
        removed = await self._blocking.unblock(
            "server",
            discord_community(guild_id),
            within=EVERYWHERE,
            actor=discord_person(interaction.user.id),
        )
        code = "admin.block.undone" if removed else "admin.block.not"
        await answer(interaction, say_to(interaction)(code, user=name_of(self._bot, guild_id)))


class ServerCommands(OwnersGroup):
    """/admin server list and leave."""

    def __init__(self, bot: ImagenBot, store: Store) -> None:
        super().__init__(name="server", description="command.admin.server.description")
        self._bot = bot
        self._store = store

    @app_commands.command(name="list", description="command.admin.server.list.description")
    async def show(self, interaction: Interaction) -> None:
        blocked = self._bot.services.backend.queue.blocked
        refusing = self._bot.services.audit.refusing
        servers = [
            (
                guild.id,
                guild.name,
                guild.member_count or 0,
                blocked.server(discord_community(guild.id)),
                discord_community(guild.id) in refusing,
            )
            for guild in sorted(self._bot.guilds, key=lambda guild: -(guild.member_count or 0))
        ]
        await answer(interaction, servers_text(say_to(interaction), servers))

    @app_commands.command(name="leave", description="command.admin.server.leave.description")
    @app_commands.describe(server="command.admin.server.leave.server")
    @app_commands.autocomplete(server=suggest_servers)
    async def leave(self, interaction: Interaction, server: str) -> None:
        guild_id = parse_server(server)
        if guild_id == interaction.guild_id:
            raise Refused("admin.server.here")
        guild = self._bot.get_guild(guild_id)
        if guild is None:
            raise InvalidRequest("server", "admin.server.unknown", value=server)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await leave_server(self._store, guild, interaction.user.id)
        name = one_line(guild.name)
        await answer(interaction, say_to(interaction)("admin.server.left", server=name))


def parse_server(text: str) -> int:
    """The ID that was typed or chosen. Raises InvalidRequest."""
    if not text.strip().isascii() or not text.strip().isdecimal() or len(text.strip()) > 19:
        raise InvalidRequest("server", "admin.server.id", value=text)
    return int(text.strip())


def name_of(bot: ImagenBot, guild_id: int) -> str:
    guild = bot.get_guild(guild_id)
    return one_line(guild.name) if guild else str(guild_id)


async def leave_server(store: Store, guild: discord.Guild, user_id: int) -> None:
    await guild.leave()
    log.info("left server %d", guild.id)
    await store.acts.record(
        kind=ActKind.SERVER_LEFT,
        actor=discord_person(user_id),
        subject=discord_community(guild.id),
        what="server",
        name=guild.name,
    )


def commands(bot: ImagenBot) -> Commands:
    store, blocking = bot.services.backend.store, bot.services.blocking
    return (
        BlockCommands(bot, store, blocking),
        UnblockCommands(bot, blocking),
        ServerCommands(bot, store),
    )
