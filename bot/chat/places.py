"""Channels and threads: whether they are age-restricted, and what people may do there."""

from typing import Any

import discord

_RESTRICTABLE = (
    discord.TextChannel,
    discord.VoiceChannel,
    discord.StageChannel,
    discord.ForumChannel,
)


def age_restricted(channel: Any) -> bool:
    """Whether the channel, or a thread's parent, is age-restricted. Unknown means no."""
    place = channel.parent if isinstance(channel, discord.Thread) else channel
    return isinstance(place, _RESTRICTABLE) and place.is_nsfw()


def permissions_in(channel: Any, member: discord.Member) -> discord.Permissions:
    """What `member` may do in the channel or thread, timeouts included; nothing if unknown.

    The messages of a voice channel are only for those who may join it (docs, resources/message).
    """
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return discord.Permissions.none()
    try:
        found = channel.permissions_for(member)
    except discord.ClientException:  # the thread's channel is not known
        return discord.Permissions.none()
    if isinstance(channel, discord.VoiceChannel | discord.StageChannel) and not found.connect:
        return discord.Permissions.none()
    return found


def sees(channel: Any, permissions: discord.Permissions, user_id: int) -> bool:
    """Whether someone with these permissions in the channel is known to be able to read it.

    A private thread is open to its members and to those who manage threads. Discord does not tell
    us its members, so they are seen as such only in the thread itself.
    """
    if not permissions.read_messages:
        return False
    if not isinstance(channel, discord.Thread) or not channel.is_private():
        return True
    return channel.owner_id == user_id or permissions.manage_threads


def may_ask(channel: Any, permissions: discord.Permissions) -> bool:
    """Whether someone with these permissions in the channel could send a command there."""
    return permissions.use_application_commands and may_write(channel, permissions)


def may_tell(guild: discord.Guild | None, channel_id: int) -> bool:
    """Whether it is a channel of this very server, and no thread, in which the bot may write."""
    channel = None if guild is None else guild.get_channel(channel_id)
    if guild is None or not isinstance(channel, discord.abc.Messageable):
        return False
    return may_write(channel, permissions_in(channel, guild.me))


def may_post(channel: Any, guild: discord.Guild) -> bool:
    """Whether the bot may post results there without answering anyone.

    Not in a private thread to which it was not added, though it can answer in one.
    """
    permissions = permissions_in(channel, guild.me)
    private = isinstance(channel, discord.Thread) and channel.is_private()
    if private and channel.me is None and not permissions.manage_threads:
        return False
    files = permissions.attach_files and permissions.embed_links
    return files and may_write(channel, permissions)


def may_write(channel: Any, permissions: discord.Permissions) -> bool:
    """Whether someone with these permissions in the channel may send messages there."""
    if not permissions.read_messages:
        return False
    if not isinstance(channel, discord.Thread):
        return permissions.send_messages
    if channel.locked and not permissions.manage_threads:
        return False
    return permissions.send_messages_in_threads
