"""/admin: what only the owners of the bot's application may do, in servers of their choice.

Each file holds one group of commands, or some commands of their own, and is named in `PARTS`.
"""

from collections.abc import Callable

import discord

from bot.chat.client import ImagenBot
from cogs.admin import blocking, broadcast, catalog, pausing, previews, starting_over, status, words
from cogs.admin.group import Commands, OwnersGroup

PARTS: tuple[Callable[[ImagenBot], Commands], ...] = (
    status.commands,
    catalog.commands,
    blocking.commands,
    starting_over.commands,
    words.commands,
    pausing.commands,
    broadcast.commands,
    previews.commands,
)
"""What each file adds to /admin."""


def admin_group(bot: ImagenBot) -> OwnersGroup:
    """/admin with all that is under it."""
    admin = OwnersGroup(
        name="admin",
        description="command.admin.description",
        default_permissions=discord.Permissions.none(),
    )
    for part in PARTS:
        for command in part(bot):
            admin.add_command(command)
    return admin


async def setup(bot: ImagenBot) -> None:
    """Without a server that is to have it, there is no such command."""
    servers = bot.services.backend.settings.admin_servers
    if servers:
        bot.tree.add_command(admin_group(bot), guilds=[discord.Object(each) for each in servers])
