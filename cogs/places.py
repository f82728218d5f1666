"""What a channel allows."""

from typing import Any

import discord


def age_restricted(channel: Any) -> bool:
    """Whether adults only come there; a thread is what its channel is. Unknown means no."""
    if isinstance(channel, discord.TextChannel | discord.VoiceChannel | discord.StageChannel):
        return channel.is_nsfw()
    if isinstance(channel, discord.Thread):
        return channel.parent is not None and channel.parent.is_nsfw()
    return False
