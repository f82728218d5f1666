"""/help: how the bot is used, by topic, naming only what this person may use here."""

from collections.abc import Iterator

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component, picks
from bot.chat.contexts import Context, Contexts
from bot.chat.errors import UNREACHABLE
from bot.chat.here import here_of
from bot.chat.owners import Owners
from bot.chat.ui.help import TOPICS, Audience, HelpId, Topic, help_layout, title_of
from bot.errors import Refused
from bot.texts.language import Texts


class HelpTopics:
    """Which sentences of which topics are for a person where they are."""

    def __init__(self, texts: Texts, contexts: Contexts, owners: Owners) -> None:
        self._texts = texts
        self._contexts = contexts
        self._owners = owners

    async def lines(self, interaction: Interaction) -> dict[str, list[str]]:
        """The sentences of each topic that has any, by its name."""
        say = here_of(interaction).say
        usable = set(self._usable(interaction))
        found = {
            topic.name: [
                say(code)
                for code in self._texts.codes(f"help.{topic.name}")
                if self._texts.commands_in(code) <= usable
            ]
            for topic in TOPICS
            if await self._is_for(topic, interaction)
        }
        return {name: lines for name, lines in found.items() if lines}

    async def _is_for(self, topic: Topic, interaction: Interaction) -> bool:
        match topic.audience:
            case Audience.EVERYONE:
                return True
            case Audience.MODERATORS:
                may = interaction.permissions
                return may.manage_guild or may.manage_messages
            case Audience.OWNERS:
                try:
                    return await self._owners.included(interaction.user.id)
                except UNREACHABLE:
                    return False

    def _usable(self, interaction: Interaction) -> Iterator[str]:
        """The names of the commands that this person is offered here."""
        tree, context = interaction.client.tree, here_of(interaction).context
        here = discord.Object(interaction.guild_id) if interaction.guild_id else None
        for scope in (None, here) if here else (None,):
            for command in tree.walk_commands(guild=scope):
                root = command.root_parent or command
                needed = root.default_permissions
                allowed = context is not Context.SERVER or needed is None
                if scope is None and context not in self._contexts.of_command(root.name):
                    continue
                if allowed or (needed is not None and needed <= interaction.permissions):
                    yield command.qualified_name


class Help(commands.Cog):
    def __init__(self, topics: HelpTopics) -> None:
        self._topics = topics

    @app_commands.command(name="help", description="command.help.description")
    @app_commands.describe(topic="command.help.topic")
    async def explain(self, interaction: Interaction, topic: str | None = None) -> None:
        lines = await self._topics.lines(interaction)
        shown = topic or next(iter(lines))
        if shown not in lines:
            raise Refused("help.unknown", value=shown)
        view = help_layout(here_of(interaction).say, lines, shown)
        await interaction.response.send_message(view=view, ephemeral=True)

    @explain.autocomplete("topic")
    async def _complete_topic(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        say, typed = here_of(interaction).say, text.strip().casefold()
        offered = {name: title_of(say, name) for name in await self._topics.lines(interaction)}
        return [
            Choice(name=title, value=name)
            for name, title in offered.items()
            if typed in title.casefold() or typed in name
        ]


class HelpSelect(Component[HelpId]):
    """Shows another topic in the same message."""

    ids = HelpId

    def __init__(self, topics: HelpTopics) -> None:
        self._topics = topics

    async def use(self, interaction: Interaction, custom_id: HelpId) -> None:
        wanted = next(iter(picks(interaction)), "")
        lines = await self._topics.lines(interaction)
        if wanted not in lines:
            raise Refused("help.unknown", value=wanted)
        view = help_layout(here_of(interaction).say, lines, wanted)
        await interaction.response.edit_message(view=view)


async def setup(bot: ImagenBot) -> None:
    services = bot.services
    topics = HelpTopics(services.texts, services.contexts, services.owners)
    await bot.add_cog(Help(topics))
    bot.components.add(HelpSelect(topics))
