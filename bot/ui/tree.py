"""The command tree: every error of a command, button or modal ends in its `on_error`."""

from collections.abc import Awaitable
from typing import Any

import discord
from discord import app_commands

from bot.ui.errors import answer_error
from bot.ui.language import Texts


class ImagenTree(app_commands.CommandTree[Any]):
    """A CommandTree whose errors are answered in one sentence. `texts` is set by the client."""

    texts: Texts

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, /) -> None:
        await answer_error(interaction, error, self.texts)


async def guarded(interaction: discord.Interaction[Any], action: Awaitable[None]) -> None:
    """Await what a component does; discord.py would only log what it raises."""
    try:
        await action
    except Exception as error:
        await interaction.client.tree.on_error(interaction, error)
