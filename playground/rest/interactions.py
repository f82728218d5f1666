"""The first response to an interaction:
https://docs.discord.com/developers/interactions/receiving-and-responding#create-interaction-response.
"""

import time
from collections.abc import Iterable
from typing import Any

from playground import installs, limits, limits_forms, messages, payloads, threads
from playground.errors import ApiError, Problem, form_error, unknown
from playground.interactions import (
    ALLOWED,
    CHOICES,
    DEFER_REPLY,
    DEFER_UPDATE,
    FORM,
    REPLY,
    UPDATE,
)
from playground.rest.route import Call, Route
from playground.state import COMMAND, MODAL, InteractionState, Message, MessageFlag

JsonObject = dict[str, Any]
# Message types: response to a slash command, to a context menu command, else a reply.
SLASH, CONTEXT_MENU, REPLIED = 20, 23, 19


async def callback(call: Call) -> JsonObject:
    core = call.core
    interaction = core.interactions.get(call.params["token"])
    if interaction is None or interaction.id != call.id("interaction_id"):
        raise unknown(10062, "interaction")
    if interaction.dead:
        raise ApiError(404, 10062, "Unknown interaction", expected=True)
    if interaction.acknowledged is not None:
        raise ApiError(400, 40060, "Interaction has already been acknowledged.")
    if time.monotonic() - interaction.created > core.ack_deadline:
        raise unknown(10062, "interaction")
    body = call.object()
    kind = int(body.get("type") or 0)
    allowed = ALLOWED[interaction.type]
    if interaction.type == MODAL and interaction.source is None:
        allowed = allowed - {UPDATE, DEFER_UPDATE}
    if kind not in allowed:
        message = (
            f"type {kind} cannot answer an interaction of type {interaction.type}; "
            f"allowed: {sorted(allowed)}"
        )
        raise form_error([Problem(("type",), "INTERACTION_CALLBACK_TYPE_INVALID", message)])
    data: JsonObject = body.get("data") or {}
    await _answer(call, interaction, kind, data)
    interaction.acknowledge(kind)
    core.signal.notify()
    return _report(call, interaction, kind)


async def _answer(call: Call, interaction: InteractionState, kind: int, data: JsonObject) -> None:
    core = call.core
    if kind == REPLY:
        messages.check(core, call.where, data, call.files, None)
        messages.require_something(data, call.files)
        interaction.original = respond(call, interaction, data)
    elif kind == DEFER_REPLY:
        core.demand(_deferred(data), call.where)
        flags = int(MessageFlag.LOADING) | _ephemeral(data)
        interaction.original = respond(call, interaction, {}, flags=flags)
    elif kind == DEFER_UPDATE:
        interaction.original = interaction.source
    elif kind == UPDATE and interaction.source is not None:
        messages.check(core, call.where, data, call.files, interaction.source)
        if not interaction.source.ephemeral:
            threads.require_answerable(core.world.bot, interaction.channel)
        interaction.original = interaction.source
        messages.edit(core, interaction.source, data, call.files)
    elif kind == CHOICES:
        choices = data.get("choices") or []
        core.demand(limits.check_choices(choices, interaction.focused_type), call.where)
        interaction.choices = choices
    elif kind == FORM:
        core.demand(limits_forms.check(data), call.where)
        interaction.modal = data


def _deferred(data: JsonObject) -> list[Problem]:
    flags = int(data.get("flags") or 0)
    if not flags & ~int(MessageFlag.EPHEMERAL):
        return []
    message = f"a deferred response can only be ephemeral; flags are {flags}"
    return [Problem(("data", "flags"), "PLAYGROUND_FLAGS_IGNORED", message, False)]


def _ephemeral(data: JsonObject) -> int:
    return int(data.get("flags") or 0) & int(MessageFlag.EPHEMERAL)


def respond(
    call: Call,
    interaction: InteractionState,
    data: JsonObject,
    *,
    flags: int = 0,
    followup: bool = False,
) -> Message:
    """Create a message in response to ``interaction``.

    In a thread that is locked for the user, who can only use context menu commands there, it is
    made ephemeral.
    """
    kind, reference = REPLIED, interaction.source
    menu = interaction.type == COMMAND and interaction.data["type"] != 1
    if followup:
        reference = interaction.original
    elif interaction.type == COMMAND:
        kind = CONTEXT_MENU if menu else SLASH
    elif reference is None:
        kind = 0
    flags |= _ephemeral(data)
    if installs.forced_ephemeral(interaction, call.core.world.bot):
        flags |= int(MessageFlag.EPHEMERAL)
    if menu and threads.closed_to(interaction.user, interaction.channel):
        flags |= int(MessageFlag.EPHEMERAL)
    if not flags & MessageFlag.EPHEMERAL:
        threads.answer(call.core, call.core.world.bot, interaction.channel)
    viewer = interaction.user if flags & MessageFlag.EPHEMERAL else None
    return messages.new(
        call.core,
        interaction.channel,
        call.core.world.bot,
        data,
        call.files,
        flags=flags,
        kind=kind,
        reference=reference,
        interaction=interaction,
        viewer=viewer,
    )


def _report(call: Call, interaction: InteractionState, kind: int) -> JsonObject:
    about: JsonObject = {"id": str(interaction.id), "type": interaction.type}
    about["channel_id"] = str(interaction.channel.id)
    if interaction.channel.guild is not None:
        about["guild_id"] = str(interaction.channel.guild.id)
    answer: JsonObject = {"interaction": about}
    original = interaction.original
    if original is not None:
        about |= {
            "response_message_id": str(original.id),
            "response_message_loading": original.loading,
            "response_message_ephemeral": original.ephemeral,
        }
        if kind in (REPLY, UPDATE):
            message = payloads.message(original, call.core.world)
            answer["resource"] = {"type": kind, "message": message}
    return answer


def routes() -> Iterable[Route]:
    """The routes of this file."""
    path = "/interactions/{interaction_id}/{token}/callback"
    return [Route("POST", path, callback, token=False)]
