"""Messages in a channel: https://docs.discord.com/developers/resources/message."""

import time
from collections.abc import Iterable
from typing import Any

from playground import messages, payloads, permissions, threads
from playground.errors import (
    ApiError,
    Problem,
    direct_message,
    form_error,
    missing_permissions,
    unknown,
)
from playground.rest.identity import channel_of
from playground.rest.route import Call, Route
from playground.state import Channel, ChannelType, Message

JsonObject = dict[str, Any]


def message_of(call: Call, channel: Channel) -> Message:
    """The message in the path. Raises 10008 if there is none; ephemeral ones do not count."""
    message = channel.messages.get(call.id("message_id"))
    if message is None or message.ephemeral:
        expected = call.id("message_id") in call.core.world.removed
        raise unknown(10008, "Message", expected=expected)
    return message


def _may_send(call: Call, body: JsonObject) -> Channel:
    channel = channel_of(call, "send_messages")
    bot = call.core.world.bot
    if channel.type is ChannelType.FORUM:
        raise ApiError(400, 50008, "Cannot send messages in a non-text channel")
    if channel.recipient is not None and not channel.recipient.takes_direct_messages:
        raise ApiError(403, 50007, "Cannot send messages to this user", expected=True)
    if call.files and not permissions.has(bot, channel, "attach_files"):
        raise missing_permissions()
    if body.get("embeds") and not permissions.has(bot, channel, "embed_links"):
        raise missing_permissions()
    return channel


def _reference(call: Call, channel: Channel, body: JsonObject) -> Message | None:
    wanted = body.get("message_reference")
    if not wanted:
        return None
    target = channel.messages.get(int(wanted["message_id"]))
    if not permissions.has(call.core.world.bot, channel, "read_message_history"):
        raise ApiError(
            403, 160002, "Cannot reply without permission to read message history", expected=True
        )
    if target is not None and not target.ephemeral:
        return target
    if wanted.get("fail_if_not_exists", True):
        raise form_error(
            [
                Problem(
                    ("message_reference",),
                    "REPLIES_UNKNOWN_MESSAGE",
                    f"Unknown message {wanted['message_id']}",
                )
            ]
        )
    return None


async def create(call: Call) -> JsonObject:
    body, core = call.object(), call.core
    channel = _may_send(call, body)
    messages.check(core, call.where, body, call.files, None)
    messages.require_something(body, call.files)
    nonce = body.get("nonce")
    if body.get("enforce_nonce") and nonce is not None:
        recent = time.time() - core.nonce_memory
        for message in channel.messages.values():
            made = ((message.id >> 22) + 1_420_070_400_000) / 1000
            if message.nonce == nonce and message.author is core.world.bot and made > recent:
                return payloads.message(message, core.world)
    reference = _reference(call, channel, body)
    threads.enter(core, core.world.bot, channel)
    kind = 19 if reference is not None else 0
    made_message = messages.new(
        core, channel, core.world.bot, body, call.files, kind=kind, reference=reference
    )
    return payloads.message(made_message, core.world)


async def edit(call: Call) -> JsonObject:
    core, body = call.core, call.object()
    channel = channel_of(call)
    message = message_of(call, channel)
    if message.author is not core.world.bot:
        raise ApiError(403, 50005, "Cannot edit a message authored by another user")
    threads.require_open(core.world.bot, channel)
    messages.check(core, call.where, body, call.files, message)
    messages.edit(core, message, body, call.files)
    return payloads.message(message, core.world)


async def get(call: Call) -> JsonObject:
    channel = channel_of(call, "read_message_history")
    return payloads.message(message_of(call, channel), call.core.world)


async def delete(call: Call) -> None:
    channel = channel_of(call)
    message, bot = message_of(call, channel), call.core.world.bot
    if message.author is not bot and channel.guild is None:
        raise direct_message()
    if message.author is not bot and not permissions.has(bot, channel, "manage_messages"):
        raise missing_permissions()
    threads.require_deletable(bot, channel)
    messages.delete(call.core, message)


async def history(call: Call) -> list[JsonObject]:
    channel = channel_of(call)
    if not permissions.has(call.core.world.bot, channel, "read_message_history"):
        return []
    limit = int(call.query.get("limit", 50))
    if not 1 <= limit <= 100:
        message = f"int value should be between 1 and 100; it is {limit}"
        raise form_error([Problem(("limit",), "NUMBER_TYPE_RANGE", message)])
    found = sorted((m for m in channel.messages.values() if not m.ephemeral), key=lambda m: m.id)
    before, after = int(call.query.get("before", 0)), int(call.query.get("after", 0))
    if after:
        found = [m for m in found if m.id > after][:limit]
    elif before:
        found = [m for m in found if m.id < before][-limit:]
    else:
        found = found[-limit:]
    return [payloads.message(m, call.core.world) for m in reversed(found)]


async def typing(call: Call) -> None:
    channel = channel_of(call, "send_messages")
    call.core.typing.append((time.monotonic(), channel.id))


def routes() -> Iterable[Route]:
    """The routes of this file."""
    base = "/channels/{channel_id}"
    return [
        Route("POST", base + "/messages", create),
        Route("GET", base + "/messages", history),
        Route("GET", base + "/messages/{message_id}", get),
        Route("PATCH", base + "/messages/{message_id}", edit),
        Route("DELETE", base + "/messages/{message_id}", delete),
        Route("POST", base + "/typing", typing),
    ]
