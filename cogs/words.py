"""/words: what may not be asked for in a server, for those who manage it."""

from typing import Any

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.moderation.spelling import LENGTH_MAX
from bot.store import discord_community
from cogs.blocking import Blocking, action_choices

ENTRY_MAX = 2 * LENGTH_MAX + 2
"""Characters of a word, or of a pattern and its slashes."""


@app_commands.default_permissions(manage_guild=True)
class WordsCog(
    commands.GroupCog, group_name="words", group_description="command.words.description"
):
    """Every answer is private. A server may grant the commands to others; they still need the
    permission."""

    def __init__(self, blocking: Blocking) -> None:
        self._blocking = blocking

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        if interaction.guild_id is None or not interaction.permissions.manage_guild:
            raise app_commands.MissingPermissions(["manage_guild"])
        return True

    @app_commands.command(name="add", description="command.words.add.description")
    @app_commands.describe(word="command.words.add.word", action="command.words.add.action")
    async def add(
        self,
        interaction: Interaction,
        word: app_commands.Range[str, 1, ENTRY_MAX],
        action: str | None = None,
    ) -> None:
        await self._blocking.add(interaction, _community(interaction), word, action)

    @app_commands.command(name="remove", description="command.words.remove.description")
    @app_commands.describe(word="command.words.remove.word")
    async def remove(
        self, interaction: Interaction, word: app_commands.Range[str, 1, ENTRY_MAX]
    ) -> None:
        await self._blocking.remove(interaction, _community(interaction), word)

    @app_commands.command(name="list", description="command.words.list.description")
    async def show(self, interaction: Interaction) -> None:
        await self._blocking.show(interaction, _community(interaction))

    @app_commands.command(name="test", description="command.words.test.description")
    @app_commands.describe(text="command.words.test.text")
    async def test(self, interaction: Interaction, text: str) -> None:
        await self._blocking.test(interaction, _community(interaction), text)

    @remove.autocomplete("word")
    async def _complete(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if interaction.guild_id is None or not interaction.permissions.manage_guild:
            return []
        return await self._blocking.complete(_community(interaction), text)


def _community(interaction: Interaction) -> str:
    assert interaction.guild_id is not None  # noqa: S101 – the check has seen to that
    return discord_community(interaction.guild_id)


async def setup(bot: ImagenBot) -> None:
    backend, texts = bot.services.backend, bot.services.texts
    choices = app_commands.choices(action=action_choices(texts))
    choices(WordsCog.add)
    await bot.add_cog(WordsCog(Blocking(backend.words)))
