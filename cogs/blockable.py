"""Whom no moderator and no owner may block."""

import discord

from bot.chat.client import Interaction
from bot.chat.owners import Owners
from bot.errors import Refused


async def check_may_be_blocked(
    interaction: Interaction,
    owners: Owners,
    user_id: int,
    *,
    within: discord.Guild | None,
) -> None:
    """Raise Refused for owners, for oneself, and for those who moderate the server `within`.

    within: None for a block that holds everywhere. Raises discord.HTTPException if Discord does not
    say who they are.
    """
    if user_id == interaction.user.id:
        raise Refused("moderate.self")
    if await owners.include(user_id):
        raise Refused("admin.block.owner")
    if within is None:
        return
    try:
        member = within.get_member(user_id) or await within.fetch_member(user_id)
    except discord.NotFound:
        return
    if member.guild_permissions.manage_messages:
        raise Refused("moderate.moderator", user=user_id)
