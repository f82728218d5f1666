"""The only error mapper: turns any exception into one sentence, wherever it was raised."""

import contextlib
import logging
import secrets
from collections.abc import Iterable
from typing import Any, Final

import aiohttp
import discord
from discord import app_commands

from bot.chat.copies import TOO_LATE
from bot.chat.forms import entered
from bot.chat.here import say_of
from bot.chat.owners import NotOwner
from bot.chat.ui.markdown import CONTENT_MAX, cut_off, plain
from bot.errors import AnsweredElsewhere, Mistakes, StoreError, UserError
from bot.log import traceback_without
from bot.texts.language import Say, Texts

log = logging.getLogger(__name__)

UNREACHABLE: Final = (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError)
"""What a call to Discord raises when it is refused, or Discord is unavailable."""


def sentence(error: BaseException, say: Say) -> str | None:
    """What to tell the user; None for an unexpected error."""
    match error:
        case Mistakes():
            each = (say(e.code, **plain(e.params)) for e in error.errors)
            return cut_off("\n".join(each), CONTENT_MAX)
        case UserError():
            return say(error.code, **plain(error.params))
        case StoreError():
            log.error("%s", error)
            return say("error.store")
        case app_commands.MissingPermissions():
            needed = [say(f"permission.{name}") for name in error.missing_permissions]
            return say("error.permission", count=len(needed), permissions=needed)
        case NotOwner():
            return say("error.owner")
        case app_commands.CheckFailure():
            return say("error.permissions")
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch():
            return say("error.command")
        case _:
            return None


def _typed(interaction: discord.Interaction) -> list[str]:
    """What the user typed into a command's options or a form, to keep it out of the log."""
    data: dict[str, Any] = {**(interaction.data or {})}
    typed = _values(data.get("options", ()))
    return [*typed, *(str(value) for value in entered(interaction).values())]


def _values(options: Iterable[dict[str, Any]]) -> list[str]:
    """Of the options of a command, or of a group, which are those of its command."""
    values: list[str] = []
    for option in options:
        values += _values(option.get("options", ()))
        values.append(str(option.get("value", "")))
    return values


async def answer_error(interaction: discord.Interaction, error: Exception, texts: Texts) -> None:
    """Tell the user privately what went wrong; log an unexpected error with an incident id."""
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    if isinstance(error, AnsweredElsewhere):
        log.info("interaction %d: answered by another copy of the bot", interaction.id)
        return
    if isinstance(error, discord.NotFound) and error.code == TOO_LATE:
        # No answer is taken any more, and a traceback would delay the answers to others, too.
        log.warning("interaction %d: answered too late (%d)", interaction.id, error.code)
        return
    say = say_of(interaction, texts)
    if interaction.type is discord.InteractionType.autocomplete and isinstance(error, UserError):
        with contextlib.suppress(*UNREACHABLE):  # no sentence can be shown to someone who types
            await interaction.response.autocomplete([])
        return
    text = sentence(error, say)
    if text is None:
        incident = secrets.token_hex(4)
        if isinstance(error, discord.HTTPException | aiohttp.ClientError):
            code = getattr(error, "code", None)
            kind = type(error).__name__
            log.error("incident %s: Discord refused a call: %s (code %s)", incident, kind, code)
        else:
            log.error("incident %s\n%s", incident, traceback_without(error, _typed(interaction)))
        text = say("error.unexpected", id=incident)
    try:
        await answer_privately(interaction, text)
    except UNREACHABLE as failure:
        # The user cannot be told: the interaction has expired, or Discord is unavailable.
        log.info("cannot tell a user about an error: %s", type(failure).__name__)


async def answer_privately(
    interaction: discord.Interaction, text: str, view: discord.ui.View | None = None
) -> None:
    """Answer so that only this person sees it, whatever was answered so far.

    Raises one of UNREACHABLE if Discord takes no answer.
    """
    shown: Any = {} if view is None else {"view": view}
    if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        with contextlib.suppress(*UNREACHABLE):
            if (await interaction.original_response()).flags.ephemeral:
                await interaction.edit_original_response(content=text, **shown)
                return
            # The "thinking" message is public, and so would be an answer that replaces it.
            await interaction.delete_original_response()
    if interaction.response.is_done():
        await interaction.followup.send(text, ephemeral=True, **shown)
    else:
        await interaction.response.send_message(text, ephemeral=True, **shown)
