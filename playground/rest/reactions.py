"""Reactions: https://docs.discord.com/developers/resources/message#create-reaction."""

from collections.abc import Iterable
from typing import Any

from playground import payloads, permissions, threads
from playground.accounts import Account
from playground.core import Core
from playground.errors import ApiError, direct_message, missing_permissions, unknown
from playground.gateway import GUILD_REACTIONS
from playground.rest.identity import channel_of
from playground.rest.messages import message_of
from playground.rest.route import Call, Route
from playground.state import Message

JsonObject = dict[str, Any]
MAX_EMOJI = 20


def emoji_key(text: str) -> str:
    """The key of an emoji. Raises 400/10014 if it is not one."""
    name, _, identifier = text.partition(":")
    if identifier:
        if identifier.isascii() and identifier.isdecimal() and name.replace("_", "").isalnum():
            return text
    elif text and not text.isascii():
        return text
    raise ApiError(400, 10014, "Unknown Emoji")


def add(core: Core, account: Account, message: Message, key: str) -> None:
    """Add a reaction of ``account`` and notify the bot."""
    users = message.reactions.setdefault(key, set())
    if account.id in users:
        return
    users.add(account.id)
    repeat(core, account, message, key)


def repeat(core: Core, account: Account, message: Message, key: str) -> None:
    """Notify the bot of a reaction that is there, for the first time or once more."""
    data = _event(account, message, key)
    guild = message.channel.guild
    if guild is not None:
        data["member"] = payloads.member(guild.members[account.id])
    # message_author_id is documented as optional, so it is left out: nothing may rely on it.
    core.gateway.emit_in(
        "MESSAGE_REACTION_ADD", data | {"type": 0}, message.channel, GUILD_REACTIONS
    )
    core.signal.notify()


def remove(core: Core, account: Account, message: Message, key: str) -> None:
    """Remove a reaction of ``account`` and notify the bot."""
    users = message.reactions.get(key, set())
    if account.id not in users:
        return
    users.discard(account.id)
    if not users:
        del message.reactions[key]
    data = _event(account, message, key) | {"type": 0}
    core.gateway.emit_in("MESSAGE_REACTION_REMOVE", data, message.channel, GUILD_REACTIONS)
    core.signal.notify()


def _event(account: Account, message: Message, key: str) -> JsonObject:
    data: JsonObject = {
        "user_id": str(account.id),
        "channel_id": str(message.channel_id),
        "message_id": str(message.id),
        "emoji": payloads.emoji(key),
        "burst": False,
    }
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    return data


async def add_own(call: Call) -> None:
    core = call.core
    channel = channel_of(call, "read_message_history")
    message = message_of(call, channel)
    threads.require_active(channel)
    key = emoji_key(call.params["emoji"])
    if key not in message.reactions:
        if not permissions.has(core.world.bot, channel, "add_reactions"):
            raise missing_permissions()
        if len(message.reactions) >= MAX_EMOJI:
            raise ApiError(403, 30010, "Maximum number of reactions reached (20)")
    add(core, core.world.bot, message, key)


async def remove_own(call: Call) -> None:
    message = message_of(call, channel_of(call))
    threads.require_active(message.channel)
    remove(call.core, call.core.world.bot, message, emoji_key(call.params["emoji"]))


def _moderated(call: Call) -> Message:
    """The message in the path, whose reactions the bot may remove."""
    channel = channel_of(call)
    if channel.guild is None:
        raise direct_message()
    if not permissions.has(call.core.world.bot, channel, "manage_messages"):
        raise missing_permissions()
    threads.require_active(channel)
    return message_of(call, channel)


async def remove_of(call: Call) -> None:
    message = _moderated(call)
    account = call.core.world.accounts.get(call.id("user_id"))
    if account is None:
        raise unknown(10013, "User")
    remove(call.core, account, message, emoji_key(call.params["emoji"]))


async def remove_all(call: Call) -> None:
    message = _moderated(call)
    message.reactions.clear()
    data: JsonObject = {"channel_id": str(message.channel_id), "message_id": str(message.id)}
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    call.core.gateway.emit_in("MESSAGE_REACTION_REMOVE_ALL", data, message.channel, GUILD_REACTIONS)


async def users_of(call: Call) -> list[JsonObject]:
    message = message_of(call, channel_of(call, "read_message_history"))
    ids = message.reactions.get(emoji_key(call.params["emoji"]), set())
    return [payloads.user(call.core.world.accounts[i]) for i in sorted(ids)]


def routes() -> Iterable[Route]:
    """The routes of this file."""
    base = "/channels/{channel_id}/messages/{message_id}/reactions"
    return [
        Route("DELETE", base, remove_all),
        Route("GET", base + "/{emoji}", users_of),
        Route("PUT", base + "/{emoji}/@me", add_own),
        Route("DELETE", base + "/{emoji}/@me", remove_own),
        Route("DELETE", base + "/{emoji}/{user_id}", remove_of),
    ]
