"""The world as Discord's JSON.

Sources: https://docs.discord.com/developers/resources and the response schemas of Discord's
OpenAPI description, against which every response of the playground is checked.
"""

from typing import Any

from playground import installs
from playground.accounts import Account, Member, Role
from playground.snowflake import created_at, timestamp
from playground.state import (
    COMPONENT,
    MODAL,
    VOCAL,
    Attachment,
    Channel,
    ChannelType,
    Guild,
    InteractionState,
    Message,
)
from playground.world import World

JsonObject = dict[str, Any]


def user(account: Account) -> JsonObject:
    """A user object."""
    return {
        "id": str(account.id),
        "username": account.name,
        "discriminator": "0000" if account.bot else "0",
        "global_name": None if account.bot else account.name.capitalize(),
        "avatar": None,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "primary_guild": None,
        "public_flags": 0,
        "flags": 0,
        "bot": account.bot,
    }


def current_user(account: Account) -> JsonObject:
    """The bot as returned by ``/users/@me``."""
    return user(account) | {
        "mfa_enabled": True,
        "locale": "en-US",
        "premium_type": 0,
        "email": None,
        "verified": True,
    }


def member(entry: Member, *, with_user: bool = True) -> JsonObject:
    """A guild member; message events carry it without its user."""
    timed_out = entry.timed_out_until
    answer: JsonObject = {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": timed_out and timestamp(timed_out),
        "flags": 0,
        "joined_at": timestamp(entry.joined_at),
        "nick": entry.nick,
        "pending": False,
        "premium_since": None,
        "roles": [str(role_id) for role_id in entry.role_ids],
        "mute": False,
        "deaf": False,
    }
    if with_user:
        answer["user"] = user(entry.account)
    return answer


def role(entry: Role) -> JsonObject:
    """A role."""
    return {
        "id": str(entry.id),
        "name": entry.name,
        "permissions": str(entry.permissions),
        "position": entry.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": entry.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def _last_message_id(entry: Channel) -> str | None:
    """Of a forum, the last post."""
    ids = [m.id for m in entry.messages.values() if not m.ephemeral]
    if entry.type is ChannelType.FORUM and entry.guild is not None:
        ids = [c.id for c in entry.guild.channels.values() if c.parent is entry]
    return str(max(ids)) if ids else None


def channel(entry: Channel) -> JsonObject:
    """A text channel, forum, thread or DM."""
    answer: JsonObject = {
        "id": str(entry.id),
        "type": int(entry.type),
        "last_message_id": _last_message_id(entry),
        "flags": 0,
    }
    if entry.type is ChannelType.DM:
        answer["recipients"] = [user(entry.recipient)] if entry.recipient else []
        return answer
    if entry.type is ChannelType.GROUP:
        others = [user(person) for person in entry.people]
        named = {"name": entry.name, "icon": None, "owner_id": str(entry.owner_id)}
        return answer | named | {"recipients": others}
    guild_of = entry.guild
    if guild_of is None:
        raise ValueError(f"{entry} is a guild channel but has no guild")
    answer |= {
        "guild_id": str(guild_of.id),
        "name": entry.name,
        "parent_id": str(entry.parent.id) if entry.parent else None,
        "rate_limit_per_user": entry.slowmode,
    }
    if entry.type is ChannelType.THREAD:
        started = created_at(entry.id)
        return answer | {
            "owner_id": str(entry.owner_id),
            "message_count": len(entry.messages),
            "member_count": 1,
            "total_message_sent": len(entry.messages),
            "thread_metadata": {
                "archived": entry.archived,
                "archive_timestamp": started,
                "auto_archive_duration": 1440,
                "locked": entry.locked,
                "create_timestamp": started,
            },
        }
    if entry.type is ChannelType.FORUM:
        answer |= {
            "available_tags": [],
            "default_reaction_emoji": None,
            "default_sort_order": None,
            "default_forum_layout": 0,
        }
    if entry.type in VOCAL:
        answer |= {"bitrate": 64_000, "user_limit": 0, "rtc_region": None}
    return answer | {
        "topic": None,
        "position": [*guild_of.channels, entry.id].index(entry.id),
        "nsfw": entry.nsfw,
        "permission_overwrites": [
            {"id": str(o.id), "type": o.type, "allow": str(o.allow), "deny": str(o.deny)}
            for o in entry.overwrites
        ],
    }


def guild(entry: Guild) -> JsonObject:
    """A guild as returned by ``GET /guilds/{id}``."""
    return {
        "id": str(entry.id),
        "name": entry.name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": str(entry.owner_id),
        "application_id": None,
        "region": "us-west",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": str(entry.system_channel.id) if entry.system_channel else None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": [role(r) for r in entry.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": entry.locale,
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
        "incidents_data": None,
        "approximate_member_count": len(entry.members),
        "approximate_presence_count": len(entry.members),
    }


def guild_create(entry: Guild, bot: Account, *, everyone: bool = False) -> JsonObject:
    """GUILD_CREATE: the guild with its channels and threads, and with the bot as its only member;
    ``everyone`` for all members, as with the GUILD_MEMBERS intent."""
    channels = list(entry.channels.values())
    return guild(entry) | {
        "joined_at": timestamp(entry.members[bot.id].joined_at),
        "large": len(entry.members) > 250,
        "unavailable": False,
        "member_count": len(entry.members),
        "voice_states": [],
        "members": [member(m) for m in entry.members.values() if everyone or m.account is bot],
        "channels": [channel(c) for c in channels if c.type is not ChannelType.THREAD],
        "threads": [channel(c) for c in active_threads(entry)],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def active_threads(entry: Guild) -> list[Channel]:
    """The threads of a guild that are not archived, which is all that the gateway tells of."""
    channels = entry.channels.values()
    return [c for c in channels if c.type is ChannelType.THREAD and not c.archived]


def attachment(entry: Attachment) -> JsonObject:
    """A file of a message."""
    answer: JsonObject = {
        "id": str(entry.id),
        "filename": entry.filename,
        "size": entry.size,
        "url": entry.url,
        "proxy_url": entry.url,
        "content_type": entry.content_type,
    }
    optional = {
        "description": entry.description,
        "title": entry.title,
        "width": entry.width,
        "height": entry.height,
        "ephemeral": entry.ephemeral or None,
    }
    return answer | {key: value for key, value in optional.items() if value is not None}


def emoji(key: str) -> JsonObject:
    """An emoji as reactions name it: the character, or ``name:id``."""
    name, _, identifier = key.partition(":")
    return {"id": identifier or None, "name": name}


def message(entry: Message, world: World, *, nested: bool = False) -> JsonObject:
    """A message; ``nested`` omits the message it replies to, as Discord does."""
    pinged = [world.accounts[i] for i in sorted(entry.mentions) if i in world.accounts]
    guild_of = entry.channel.guild
    roles = [i for i in sorted(entry.mentions) if guild_of and i in guild_of.roles]
    answer: JsonObject = {
        "id": str(entry.id),
        "type": entry.type,
        "channel_id": str(entry.channel_id),
        "author": user(entry.author),
        "content": entry.content,
        "timestamp": created_at(entry.id),
        "edited_timestamp": timestamp(entry.edited_at) if entry.edited_at else None,
        "tts": False,
        "mention_everyone": entry.mention_everyone,
        "mentions": [user(account) for account in pinged],
        "mention_roles": [str(i) for i in roles if guild_of and i != guild_of.id],
        "attachments": [attachment(a) for a in entry.attachments if a.id not in entry.shown],
        "embeds": entry.embeds,
        "components": entry.components,
        "pinned": False,
        "flags": entry.flags,
    }
    if entry.reactions:
        answer["reactions"] = [
            {
                "emoji": emoji(key),
                "count": len(users),
                "count_details": {"burst": 0, "normal": len(users)},
                "burst_colors": [],
                "me_burst": False,
                "me": world.bot.id in users,
            }
            for key, users in entry.reactions.items()
        ]
    if entry.nonce is not None:
        answer["nonce"] = entry.nonce
    if entry.reference is not None:
        channel_id = entry.reference_channel or entry.channel_id
        answer["message_reference"] = {
            "type": 0,
            "channel_id": str(channel_id),
            "message_id": str(entry.reference),
        }
        if guild_of:
            answer["message_reference"]["guild_id"] = str(guild_of.id)
        if not nested:
            target = world.message(channel_id, entry.reference)
            answer["referenced_message"] = (
                message(target, world, nested=True) if target and not target.deleted else None
            )
    if entry.interaction is not None:
        answer["application_id"] = str(world.application_id)
        answer["webhook_id"] = str(world.application_id)
        answer["interaction_metadata"] = interaction_metadata(entry.interaction, world.bot)
        if (name := entry.interaction.command_name) is not None:
            answer["interaction"] = {
                "id": str(entry.interaction.id),
                "type": 2,
                "name": name,
                "user": user(entry.interaction.user),
            }
    return answer


def message_event(entry: Message, world: World, *, with_content: bool) -> JsonObject:
    """MESSAGE_CREATE and MESSAGE_UPDATE: the message with its location, and without its content if
    the bot's intents do not include it (https://docs.discord.com/developers/events/gateway)."""
    answer = message(entry, world)
    guild_of = entry.channel.guild
    if guild_of is not None:
        answer["guild_id"] = str(guild_of.id)
        if entry.author.id in guild_of.members:
            answer["member"] = member(guild_of.members[entry.author.id], with_user=False)
    own = (
        entry.author is world.bot
        or world.bot.id in entry.mentions
        or entry.channel.type is ChannelType.DM
    )
    if not (with_content or own):
        answer |= {"content": "", "embeds": [], "attachments": [], "components": []}
    return answer


def interaction_metadata(entry: InteractionState, bot: Account) -> JsonObject:
    """``interaction_metadata`` of the messages that respond to it."""
    answer: JsonObject = {
        "id": str(entry.id),
        "type": entry.type,
        "user": user(entry.user),
        "authorizing_integration_owners": installs.owners_of(entry, bot),
    }
    if entry.type == COMPONENT and entry.source is not None:
        answer["interacted_message_id"] = str(entry.source.id)
    if entry.type == MODAL and entry.parent is not None:
        answer["triggering_interaction_metadata"] = interaction_metadata(entry.parent, bot)
    return answer
