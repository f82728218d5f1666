"""The first message when the bot joins a server: what it does, how it is set up, what it keeps."""

import logging
from typing import Literal

import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import only
from bot.chat.errors import UNREACHABLE
from bot.chat.ui.markdown import escaped
from bot.store import Store, discord_community
from bot.store.blocks import EVERYWHERE
from bot.texts.language import Texts

log = logging.getLogger(__name__)

LINES = ("welcome.paint", "welcome.settings", "welcome.privacy", "welcome.help")


class Welcome(commands.Cog):
    """whom: see IMAGEN_WELCOME in docs/settings.md."""

    def __init__(
        self,
        bot: ImagenBot,
        texts: Texts,
        store: Store,
        whom: Literal["inviter", "channel", "none"],
    ) -> None:
        self._bot = bot
        self._texts = texts
        self._store = store
        self._whom = whom

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        if not await self._store.greetings.begin(guild.id):
            return
        if self._whom == "none" or await self._is_blocked(guild):
            return
        text = self._text(guild)
        if self._whom == "inviter" and await self._tell_inviter(guild, text):
            return
        await self._tell_channel(guild, text)

    @commands.Cog.listener()
    async def on_shard_ready(self, _: int) -> None:
        """A shard may have a new session long after the others."""
        if self._bot.is_ready():
            await self.on_ready()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Discord tells of no server that was joined before the connection. All have to be known,
        because the first time, those that are there count as greeted."""
        guilds = {guild.id: guild for guild in self._bot.guilds}
        for guild_id in await self._store.greetings.missed(guilds):
            await self.on_guild_join(guilds[guild_id])

    async def _is_blocked(self, guild: discord.Guild) -> bool:
        blocks = await self._store.blocks.within(EVERYWHERE)
        return any(block.blocked == discord_community(guild.id) for block in blocks)

    def _text(self, guild: discord.Guild) -> str:
        """In the server's language, and without what this bot does not have."""
        say = self._texts.speaker(str(guild.preferred_locale), discord_community(guild.id))
        known = {command.qualified_name for command in self._bot.tree.walk_commands()}
        lines = [say(code) for code in LINES if self._texts.commands_in(code) <= known]
        hello = say("welcome.hello", server=escaped(guild.name))
        return "\n".join((hello, *(f"- {line}" for line in lines)))

    async def _tell_inviter(self, guild: discord.Guild, text: str) -> bool:
        """Returns whether it arrived."""
        if not guild.me.guild_permissions.view_audit_log:
            return False
        try:
            async for entry in guild.audit_logs(limit=10, action=discord.AuditLogAction.bot_add):
                if entry.target is not None and entry.target.id == guild.me.id and entry.user_id:
                    inviter = await self._bot.create_dm(discord.Object(entry.user_id))
                    await inviter.send(text, allowed_mentions=only(None))
                    return True
        except UNREACHABLE as error:
            log.info("server %d: its inviter was not greeted: %s", guild.id, type(error).__name__)
        return False

    async def _tell_channel(self, guild: discord.Guild, text: str) -> None:
        channel = guild.system_channel
        if channel is None or not channel.permissions_for(guild.me).send_messages:
            return
        try:
            await channel.send(text, allowed_mentions=only(None))
        except UNREACHABLE as error:
            log.info("server %d: not greeted: %s", guild.id, type(error).__name__)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(Welcome(bot, services.texts, backend.store, backend.settings.welcome))
