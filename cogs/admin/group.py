"""What is under /admin: commands for the owners of the bot's application alone."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import discord
from discord import app_commands

from bot.chat.client import Interaction
from bot.chat.here import here_of
from bot.chat.owners import NotOwner
from bot.texts.language import Say

Commands: TypeAlias = Sequence[app_commands.Group | app_commands.Command[Any, ..., Any]]


class OwnersGroup(app_commands.Group):
    """A group of commands, the outermost or one within it, that checks at each use who it is.

    Discord.py asks only the innermost group of a command, so each has to be one of these.
    """

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        await check_owner(interaction)
        return True


async def check_owner(interaction: Interaction) -> None:
    """Raise NotOwner unless an owner of the application uses this in a server that has
    /admin. A server can grant a command to anyone, and an id can be forged."""
    services = interaction.client.services
    here = interaction.guild_id in services.backend.settings.admin_servers
    if not here or not await services.owners.include(interaction.user.id):
        raise NotOwner


def say_to(interaction: Interaction) -> Say:
    return here_of(interaction).say


async def answer(interaction: Interaction, text: str) -> None:
    """Tell the owner alone, and nobody else of what is named in it."""
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True)
    else:
        await interaction.response.send_message(text, ephemeral=True)


async def may_be_suggested(interaction: Interaction) -> bool:
    """The same for suggestions, which discord.py does not check."""
    services = interaction.client.services
    here = interaction.guild_id in services.backend.settings.admin_servers
    return here and await services.owners.included(interaction.user.id)
