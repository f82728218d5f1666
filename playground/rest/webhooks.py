"""After the first response: the original response and follow-ups, by the interaction's token.
https://docs.discord.com/developers/interactions/receiving-and-responding#followup-messages
"""

from collections.abc import Iterable
from typing import Any

from playground import installs, messages, payloads, threads
from playground.errors import ApiError, unknown
from playground.rest.interactions import respond
from playground.rest.route import Call, Route
from playground.state import InteractionState, Message, MessageFlag

JsonObject = dict[str, Any]


def _interaction(call: Call) -> InteractionState:
    core = call.core
    interaction = core.interactions.get(call.params["token"])
    if interaction is None or call.id("application_id") != core.world.application_id:
        raise unknown(10015, "Webhook")
    if not core.live(interaction):
        raise ApiError(401, 50027, "Invalid Webhook Token", expected=interaction.dead)
    if interaction.acknowledged is None:
        raise unknown(10015, "Webhook")
    return interaction


def _message(call: Call, interaction: InteractionState) -> Message:
    core, wanted = call.core, call.params["message_id"]
    if wanted == "@original":
        message = interaction.original
    else:
        mine = [m for m in (interaction.original, *interaction.followups) if m is not None]
        message = next((m for m in mine if str(m.id) == wanted), None)
    if message is None or message.deleted or message.channel.id not in core.world.channels:
        gone = message is not None and (
            message.id in core.world.removed or message.channel.id in core.world.removed
        )
        raise unknown(10008, "Message", expected=gone)
    return message


async def followup(call: Call) -> JsonObject:
    core, body = call.core, call.object()
    interaction = _interaction(call)
    original = interaction.original
    interaction.answered += 1
    if interaction.answered > installs.FOLLOWUPS and installs.only_user(
        interaction, core.world.bot
    ):
        raise ApiError(400, 40094, "This interaction has reached the maximum of follow-up messages")
    if interaction.channel.id not in core.world.channels:
        raise unknown(10003, "Channel", expected=interaction.channel.id in core.world.removed)
    if original is not None and original.loading and not original.deleted:
        # The first follow-up after a deferred response replaces it and stays as private.
        if not original.ephemeral:
            threads.require_answerable(core.world.bot, original.channel)
        messages.check(core, call.where, body, call.files, None)
        messages.require_something(body, call.files)
        messages.edit(core, original, body, call.files)
        return payloads.message(original, core.world)
    messages.check(core, call.where, body, call.files, None)
    messages.require_something(body, call.files)
    flags = int(body.get("flags") or 0) & int(MessageFlag.EPHEMERAL)
    message = respond(call, interaction, body, flags=flags, followup=True)
    interaction.followups.append(message)
    core.signal.notify()
    return payloads.message(message, core.world)


async def get(call: Call) -> JsonObject:
    return payloads.message(_message(call, _interaction(call)), call.core.world)


async def edit(call: Call) -> JsonObject:
    core, body = call.core, call.object()
    message = _message(call, _interaction(call))
    if not message.ephemeral:
        threads.require_answerable(core.world.bot, message.channel)
    messages.check(core, call.where, body, call.files, message)
    messages.edit(core, message, body, call.files)
    return payloads.message(message, core.world)


async def delete(call: Call) -> None:
    messages.delete(call.core, _message(call, _interaction(call)))


def routes() -> Iterable[Route]:
    """The routes of this file."""
    base = "/webhooks/{application_id}/{token}"
    return [
        Route("POST", base, followup, token=False),
        Route("GET", base + "/messages/{message_id}", get, token=False),
        Route("PATCH", base + "/messages/{message_id}", edit, token=False),
        Route("DELETE", base + "/messages/{message_id}", delete, token=False),
    ]
