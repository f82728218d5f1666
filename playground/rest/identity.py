"""Who the bot is and what it can look up: users, guilds, channels, the gateway's address."""

from collections.abc import Iterable
from typing import Any

from playground import applications, payloads, permissions
from playground.errors import missing_access, missing_permissions, unknown
from playground.rest.route import Call, Route
from playground.state import Channel, ChannelType, Guild

JsonObject = dict[str, Any]
BOT_ADD = 28
"""The action of an audit log: somebody added a bot."""


def channel_of(call: Call, *needed: str) -> Channel:
    """The channel in the path. Raises 10003, 50001 or 50013 unless the bot can see it and has the
    permissions ``needed``."""
    core, identifier = call.core, call.id("channel_id")
    channel = core.world.channels.get(identifier)
    if channel is None:
        raise unknown(10003, "Channel", expected=identifier in core.world.removed)
    if channel.guild is not None and channel.guild.id not in core.world.guilds:
        raise missing_access()
    if not permissions.has(core.world.bot, channel, "view_channel"):
        raise missing_access()
    wanted = [_in_thread(name, channel) for name in needed]
    if not permissions.has(core.world.bot, channel, *wanted):
        raise missing_permissions()
    return channel


def _in_thread(name: str, channel: Channel) -> str:
    if name == "send_messages" and channel.type is ChannelType.THREAD:
        return "send_messages_in_threads"
    return name


def guild_of(call: Call) -> Guild:
    """The guild in the path. Raises 10004 if there is none."""
    identifier = call.id("guild_id")
    guild = call.core.world.guilds.get(identifier)
    if guild is None and identifier in call.core.world.foreign:
        raise missing_access()
    if guild is None:
        raise unknown(10004, "Guild", expected=identifier in call.core.world.removed)
    return guild


async def get_me(call: Call) -> JsonObject:
    return payloads.current_user(call.core.world.bot)


async def get_application(call: Call) -> JsonObject:
    return applications.application(call.core.world)


async def get_gateway(call: Call) -> JsonObject:
    return {"url": call.core.gateway.resume_url}


async def get_gateway_bot(call: Call) -> JsonObject:
    gateway = call.core.gateway
    return {
        "url": gateway.resume_url,
        "shards": gateway.limits.shards,
        "session_start_limit": gateway.limits.payload(),
    }


async def get_user(call: Call) -> JsonObject:
    account = call.core.world.accounts.get(call.id("user_id"))
    if account is None:
        raise unknown(10013, "User")
    return payloads.user(account)


async def my_guilds(call: Call) -> list[JsonObject]:
    return [
        {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(guild.roles[guild.id].permissions),
            "features": [],
        }
        for guild in call.core.world.guilds.values()
    ]


async def open_private_channel(call: Call) -> JsonObject:
    account = call.core.world.accounts.get(int(call.object().get("recipient_id") or 0))
    if account is None:
        raise unknown(10013, "User")
    return payloads.channel(call.core.world.private_channel(account))


async def get_guild(call: Call) -> JsonObject:
    return payloads.guild(guild_of(call))


async def get_guild_channels(call: Call) -> list[JsonObject]:
    channels = guild_of(call).channels.values()
    return [payloads.channel(c) for c in channels if c.type is not ChannelType.THREAD]


async def get_active_threads(call: Call) -> JsonObject:
    threads = [payloads.channel(c) for c in payloads.active_threads(guild_of(call))]
    return {"threads": threads, "members": [], "has_more": False}


async def get_roles(call: Call) -> list[JsonObject]:
    return [payloads.role(role) for role in guild_of(call).roles.values()]


async def get_member(call: Call) -> JsonObject:
    member = guild_of(call).members.get(call.id("user_id"))
    if member is None:
        raise unknown(10007, "Member", expected=True)
    return payloads.member(member)


async def get_channel(call: Call) -> JsonObject:
    return payloads.channel(channel_of(call))


async def get_audit_log(call: Call) -> JsonObject:
    """Of all that an audit log holds, who added the bot."""
    guild, bot = guild_of(call), call.core.world.bot
    granted = guild.roles[guild.id].permissions
    for role_id in guild.members[bot.id].role_ids:
        granted |= guild.roles[role_id].permissions
    if not granted & permissions.bits("view_audit_log", "administrator"):
        raise missing_permissions()
    wanted, inviter = int(call.query.get("action_type") or BOT_ADD), guild.inviter
    entries: list[JsonObject] = []
    if inviter is not None and wanted == BOT_ADD:
        entry = {"id": str(call.core.world.snowflakes.next()), "action_type": BOT_ADD}
        entries.append(entry | {"user_id": str(inviter.id), "target_id": str(bot.id)})
    return {
        "audit_log_entries": entries,
        "users": [payloads.user(inviter), payloads.user(bot)] if entries and inviter else [],
        "integrations": [],
        "webhooks": [],
        "guild_scheduled_events": [],
        "threads": [],
        "application_commands": [],
        "auto_moderation_rules": [],
    }


async def leave_guild(call: Call) -> None:
    guild = guild_of(call)
    call.core.world.forget(guild)
    call.core.gateway.emit("GUILD_DELETE", {"id": str(guild.id)}, guild=guild, intent=1)


def routes() -> Iterable[Route]:
    """The routes of this file."""
    return [
        Route("GET", "/users/@me", get_me),
        Route("GET", "/oauth2/applications/@me", get_application),
        Route("GET", "/applications/@me", get_application),
        Route("GET", "/gateway", get_gateway, token=False),
        Route("GET", "/gateway/bot", get_gateway_bot),
        Route("GET", "/users/@me/guilds", my_guilds),
        Route("DELETE", "/users/@me/guilds/{guild_id}", leave_guild),
        Route("POST", "/users/@me/channels", open_private_channel),
        Route("GET", "/users/{user_id}", get_user),
        Route("GET", "/guilds/{guild_id}", get_guild),
        Route("GET", "/guilds/{guild_id}/audit-logs", get_audit_log),
        Route("GET", "/guilds/{guild_id}/channels", get_guild_channels),
        Route("GET", "/guilds/{guild_id}/threads/active", get_active_threads),
        Route("GET", "/guilds/{guild_id}/roles", get_roles),
        Route("GET", "/guilds/{guild_id}/members/{user_id}", get_member),
        Route("GET", "/channels/{channel_id}", get_channel),
    ]
