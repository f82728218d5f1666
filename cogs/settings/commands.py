"""/settings me, channel, server and set."""

from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import Interaction
from bot.chat.here import here_of
from bot.chat.ui.choices import model_choices, scheduler_choices
from bot.chat.ui.settings import choice_label, setting_choices, setting_named
from bot.chat.ui.settings.groups import groups_of
from bot.errors import InvalidRequest
from bot.levels import Level
from bot.levels.entering import KINDS, Entering
from bot.levels.levels import FIELDS
from catalog import SCHEDULERS
from cogs.settings.desk import LEVELS, SettingsDesk

Choices = list[Choice[str]]

LEVEL_CHOICES = [
    Choice(name=locale_str(name, code=f"command.settings.levels.{name}"), value=name)
    for name in LEVELS
]


class Settings(
    commands.GroupCog, group_name="settings", group_description="command.settings.description"
):
    """Opens the panels, and sets single values."""

    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk

    @app_commands.command(description="command.settings.me")
    async def me(self, interaction: Interaction) -> None:
        await self._open(interaction, Level.PERSON)

    @app_commands.command(description="command.settings.channel")
    async def channel(self, interaction: Interaction) -> None:
        await self._open(interaction, Level.CHANNEL)

    @app_commands.command(description="command.settings.server")
    async def server(self, interaction: Interaction) -> None:
        await self._open(interaction, Level.SERVER)

    async def _open(self, interaction: Interaction, level: Level) -> None:
        self._desk.check(interaction, level)
        seen_from = await self._desk.seen_from(interaction, level)
        view = self._desk.panel(interaction, seen_from, groups_of(level)[0])
        await interaction.response.send_message(view=view, ephemeral=True)

    @app_commands.command(name="set", description="command.settings.set.description")
    @app_commands.describe(
        level="command.settings.set.level",
        name="command.settings.set.name",
        value="command.settings.set.value",
    )
    @app_commands.choices(level=LEVEL_CHOICES)
    async def set_one(
        self, interaction: Interaction, level: str, name: str, value: str | None = None
    ) -> None:
        at = LEVELS[level]
        self._desk.check(interaction, at)
        entering = await self._entering(interaction, at)
        name = setting_named(here_of(interaction).say, name, entering.names)
        read = entering.read(name, value or "")
        _, line = await self._desk.change(interaction, at, name, read)
        await interaction.response.send_message(line, ephemeral=True)

    async def _entering(self, interaction: Interaction, level: Level) -> Entering:
        seen_from = await self._desk.seen_from(interaction, level)
        return self._desk.entering(interaction, seen_from)

    @set_one.autocomplete("name")
    async def _complete_name(self, interaction: Interaction, text: str) -> Choices:
        if (level := LEVELS.get(interaction.namespace.level or "")) is None:
            return []
        names = [name for name in KINDS if name in FIELDS[level].model_fields]
        return setting_choices(here_of(interaction).say, text, names)

    @set_one.autocomplete("value")
    async def _complete_value(self, interaction: Interaction, text: str) -> Choices:
        if (level := LEVELS.get(interaction.namespace.level or "")) is None:
            return []
        say, named = here_of(interaction).say, interaction.namespace.name or ""
        entering = await self._entering(interaction, level)
        try:
            name = setting_named(say, named, entering.names)
        except InvalidRequest:
            return []
        if name == "model":
            return model_choices(text, entering.catalog, nsfw=entering.nsfw)
        if name == "scheduler":
            return scheduler_choices(text, SCHEDULERS)
        wanted = text.strip().casefold()
        labels = {each: choice_label(say, name, each) for each in entering.choices(name)}
        return [
            Choice(name=label, value=each)
            for each, label in labels.items()
            if wanted in f"{label} {each}".casefold()
        ]
