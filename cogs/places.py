"""What a channel allows, and to whom."""

from typing import Any

import discord


def age_restricted(channel: Any) -> bool:
    """Whether adults only come there; a thread is what its channel is. Unknown means no."""
    if isinstance(channel, discord.TextChannel | discord.VoiceChannel | discord.StageChannel):
        return channel.is_nsfw()
    if isinstance(channel, discord.Thread):
        return channel.parent is not None and channel.parent.is_nsfw()
    return False


def moderates(interaction: discord.Interaction[Any]) -> bool:
    """Whether who clicked may remove other people's messages there."""
    return interaction.guild_id is not None and interaction.permissions.manage_messages


def roles_of(person: discord.User | discord.Member | None) -> frozenset[int]:
    """Ids of the roles that Discord told along with an event."""
    if not isinstance(person, discord.Member):
        return frozenset()
    return frozenset(role.id for role in person.roles)
