"""Permissions: https://docs.discord.com/developers/topics/permissions."""

import time
from typing import Any

from playground.accounts import Account
from playground.state import VOCAL, Channel, ChannelType

FLAGS: dict[str, int] = {
    "create_instant_invite": 1 << 0,
    "kick_members": 1 << 1,
    "ban_members": 1 << 2,
    "administrator": 1 << 3,
    "manage_channels": 1 << 4,
    "manage_guild": 1 << 5,
    "add_reactions": 1 << 6,
    "view_audit_log": 1 << 7,
    "view_channel": 1 << 10,
    "send_messages": 1 << 11,
    "send_tts_messages": 1 << 12,
    "manage_messages": 1 << 13,
    "embed_links": 1 << 14,
    "attach_files": 1 << 15,
    "read_message_history": 1 << 16,
    "mention_everyone": 1 << 17,
    "use_external_emojis": 1 << 18,
    "connect": 1 << 20,
    "speak": 1 << 21,
    "change_nickname": 1 << 26,
    "manage_nicknames": 1 << 27,
    "manage_roles": 1 << 28,
    "manage_webhooks": 1 << 29,
    "use_application_commands": 1 << 31,
    "manage_threads": 1 << 34,
    "create_public_threads": 1 << 35,
    "create_private_threads": 1 << 36,
    "use_external_stickers": 1 << 37,
    "send_messages_in_threads": 1 << 38,
    "moderate_members": 1 << 40,
    "send_voice_messages": 1 << 46,
    "send_polls": 1 << 49,
    "use_external_apps": 1 << 50,
}
ALL = (1 << 53) - 1
# What no one has where they may not send.
WITH_MESSAGES = sum(
    FLAGS[name] for name in ("mention_everyone", "send_tts_messages", "attach_files", "embed_links")
)


def bits(*names: str) -> int:
    """The bit set for these permission names (``send_messages`` …)."""
    value = 0
    for name in names:
        if name not in FLAGS:
            raise ValueError(f"unknown permission {name!r}; allowed: {', '.join(FLAGS)}")
        value |= FLAGS[name]
    return value


def everyone() -> int:
    """What a fresh server grants @everyone."""
    return bits(
        "create_instant_invite",
        "add_reactions",
        "view_channel",
        "send_messages",
        "embed_links",
        "attach_files",
        "read_message_history",
        "mention_everyone",
        "use_external_emojis",
        "connect",
        "speak",
        "change_nickname",
        "use_application_commands",
        "create_public_threads",
        "create_private_threads",
        "use_external_stickers",
        "send_messages_in_threads",
        "send_voice_messages",
        "send_polls",
        "use_external_apps",
    )


def of(account: Account, channel: Channel) -> int:
    """The permissions of ``account`` in ``channel``: roles, then the channel's overwrites, then
    what a timeout and other denials imply.

    A thread has those of its parent. A DM has everything that a text channel has. The messages of a
    voice or stage channel are only for those who may connect.
    """
    guild = channel.guild
    if guild is None:
        if channel.type is ChannelType.GROUP and account not in channel.people:
            return 0
        return everyone() & ~bits("mention_everyone")
    member = guild.members.get(account.id)
    if member is None:
        return 0
    if guild.owner_id == account.id:
        return ALL
    base = guild.roles[guild.id].permissions
    for role_id in member.role_ids:
        base |= guild.roles[role_id].permissions
    if base & FLAGS["administrator"]:
        return ALL
    place = channel.parent if channel.type is ChannelType.THREAD and channel.parent else channel
    overwrites = {overwrite.id: overwrite for overwrite in place.overwrites}
    if (for_all := overwrites.get(guild.id)) is not None:
        base = base & ~for_all.deny | for_all.allow
    allow = deny = 0
    for role_id in member.role_ids:
        if (for_role := overwrites.get(role_id)) is not None:
            allow |= for_role.allow
            deny |= for_role.deny
    base = base & ~deny | allow
    if (for_member := overwrites.get(account.id)) is not None:
        base = base & ~for_member.deny | for_member.allow
    if (member.timed_out_until or 0) > time.time():
        base &= bits("view_channel", "read_message_history")
    if not base & FLAGS["view_channel"]:
        return 0
    if channel.type in VOCAL and not base & FLAGS["connect"]:
        return base & FLAGS["view_channel"]
    return base if base & FLAGS[sending(channel)] else base & ~WITH_MESSAGES


def lacking(command: dict[str, Any], account: Account, channel: Channel) -> tuple[str, ...]:
    """The permissions that ``command`` needs by default and ``account`` lacks in ``channel``; while
    there are any, Discord's client does not offer it there."""
    needed, own = command.get("default_member_permissions"), of(account, channel)
    if needed is None or channel.guild is None or own == ALL:
        return ()
    if int(needed) == 0:
        return ("administrator",)
    return tuple(name for name, bit in FLAGS.items() if int(needed) & bit and not own & bit)


def sending(channel: Channel) -> str:
    """The permission that sending messages there needs."""
    return "send_messages_in_threads" if channel.type is ChannelType.THREAD else "send_messages"


def has(account: Account, channel: Channel, *names: str) -> bool:
    """Whether ``account`` has all the named permissions in ``channel``."""
    wanted = bits(*names)
    return of(account, channel) & wanted == wanted
