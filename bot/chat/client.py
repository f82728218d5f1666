"""ImagenBot: discord.py's client, with our commands."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import aiohttp
import discord
from discord.ext import commands

from bot.chat.commands import CommandTranslator, localize
from bot.chat.components import Components
from bot.chat.connection import CONNECTIONS
from bot.chat.services import Services
from bot.chat.shards import ShardedBot
from bot.chat.tree import ImagenTree
from bot.chat.ui.custom_id import Routed
from bot.texts.language import Texts

log = logging.getLogger(__name__)


class ImagenBot(ShardedBot):
    """The Discord client. Each cog takes the parts it needs from `services` in its `setup`; what
    completes options, when it is asked."""

    tree: ImagenTree
    services: Services

    def __init__(self, texts: Texts, proxy: str | None) -> None:
        """proxy: URL of an HTTP proxy for reaching Discord; None for none."""
        # discord.py builds the tree, and the session that it traces, with the client.
        trace = aiohttp.TraceConfig()
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=ImagenTree,
            intents=discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True),
            allowed_mentions=discord.AllowedMentions.none(),
            proxy=proxy,
            max_messages=None,
            http_trace=trace,
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        )
        self.tree.texts = texts
        self.copies = self.tree.copies
        self.copies.count_in(trace)
        self.components = Components(self.tree)
        self._texts = texts
        self._connected: list[Callable[[], None]] = []
        self._latest_reaction: dict[
            int, tuple[str | None, int]
        ] = {}  # session and sequence, by shard

    async def load(self, services: Services, extensions: Sequence[str]) -> None:
        """Load the cogs, giving them `services`. Call before login."""
        self.services = services
        self.tree.find_here = services.find_here
        await self.tree.set_translator(CommandTranslator(self._texts))
        self.add_dynamic_items(Routed)
        for extension in extensions:
            await self.load_extension(extension)
            await asyncio.sleep(0)  # importing them all would hold the loop for a tenth of a second
        menus = self.tree.get_commands(type=discord.AppCommandType.message)
        services.contexts.declare([*self.tree.get_commands(), *menus])
        scopes = (None, *map(discord.Object, services.backend.settings.admin_servers))
        commands = {each for scope in scopes for each in self.tree.walk_commands(guild=scope)}
        for command in commands:
            localize(command, self._texts)

    def on_connected(self, connected: Callable[[], None]) -> None:
        """Call `connected` whenever a shard's connection is established or resumed."""
        self._connected.append(connected)

    async def on_ready(self) -> None:
        await super().on_ready()
        log.info("online in %d servers", len(self.guilds))

    async def on_shard_ready(self, shard_id: int) -> None:
        await super().on_shard_ready(shard_id)
        self._tell_connected()

    async def on_shard_resumed(self, shard_id: int) -> None:
        await super().on_shard_resumed(shard_id)
        self._tell_connected()

    def _tell_connected(self) -> None:
        for connected in self._connected:
            connected()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        if event.startswith("raw_reaction_") and self._is_repeated(args[0].guild_id):
            log.warning("%s received again; dropped", event.removeprefix("raw_"))
            return
        super().dispatch(event, *args, **kwargs)

    def _is_repeated(self, guild_id: int | None) -> bool:
        """Whether the reaction being received was received before: a resumed connection may repeat
        events, with the sequence numbers that they had. Remembers it, by shard."""
        shard_id = ((guild_id or 0) >> 22) % (self.shard_count or 1)
        shard = vars(self)["_AutoShardedClient__shards"].get(shard_id)
        if shard is None:
            return False
        session, sequence = shard.ws.session_id, shard.ws.sequence
        before, latest = self._latest_reaction.get(shard_id, (session, -1))
        if session == before and sequence <= latest:
            return True
        self._latest_reaction[shard_id] = session, sequence
        return False

    async def on_interaction(self, interaction: discord.Interaction[Any], /) -> None:
        """Route forms by their custom_id; discord.py routes everything else."""
        if interaction.type is discord.InteractionType.modal_submit:
            data: dict[str, Any] = {**(interaction.data or {})}
            await self.components.use(interaction, str(data.get("custom_id", "")))


Interaction: TypeAlias = discord.Interaction[ImagenBot]
