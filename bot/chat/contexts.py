"""Contexts: the kinds of places where commands are used, and which command is offered where.

Discord tells with every interaction where it was made, and which installation allows it: of the
server or of the person (docs, interactions/receiving-and-responding). What it is told about the
commands is a promise of its clients only, so each use is checked here as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import discord
from discord import app_commands

from bot.errors import Refused


class Context(Enum):
    """Where something is asked for."""

    SERVER = auto()  # a server that has installed the app
    DIRECT = auto()  # the direct messages between a person and the bot
    ELSEWHERE = auto()  # another server, a group, others' direct messages: a person brings the app


EVERYWHERE: Final = frozenset(Context)
SERVERS: Final = frozenset({Context.SERVER})

OFFERED: Final[Mapping[str, frozenset[Context]]] = {
    "imagine": EVERYWHERE,
    "compare": EVERYWHERE,
    "edit": EVERYWHERE,
    "upscale": EVERYWHERE,
    "describe": EVERYWHERE,
    "models": EVERYWHERE,
    "loras": EVERYWHERE,
    "embeddings": EVERYWHERE,
    "wildcards": EVERYWHERE,
    "info": EVERYWHERE,
    "queue": EVERYWHERE,
    "cancel": EVERYWHERE,
    "history": EVERYWHERE,
    "favourites": EVERYWHERE,
    "stats": EVERYWHERE,
    "preset": EVERYWHERE,
    "settings": EVERYWHERE,
    "privacy": EVERYWHERE,
    "export": EVERYWHERE,
    "forget": EVERYWHERE,
    "help": EVERYWHERE,
    "Again": EVERYWHERE,
    "Edit": EVERYWHERE,
    "Use as image": EVERYWHERE,
    "Delete": EVERYWHERE,
    "Image info": EVERYWHERE,
    "pause": SERVERS,
    "resume": SERVERS,
    "admin": SERVERS,
    "words": SERVERS,
    "moderate": SERVERS,
}
"""Where each command, and each entry in the menu of a message, is offered. Those that are not
listed are for servers."""


RIGHTS: Final = frozenset({"privacy", "export", "forget"})
"""What people may do with their own data, wherever they are and whoever has blocked them or the
server, also by buttons whose custom_id begins so."""


def is_right(interaction: discord.Interaction[Any]) -> bool:
    """Whether `interaction` is about what is stored of its person."""
    data: Mapping[str, Any] = {**(interaction.data or {})}
    if interaction.type is discord.InteractionType.application_command:
        return data.get("type", 1) == 1 and data.get("name") in RIGHTS
    return str(data.get("custom_id", "")).partition(":")[0] in RIGHTS


def context_of(interaction: discord.Interaction[Any]) -> Context:
    """Where `interaction` was made."""
    if interaction.guild_id is None:
        return Context.ELSEWHERE if interaction.context.private_channel else Context.DIRECT
    if interaction.is_guild_integration() or is_member(interaction):
        return Context.SERVER
    return Context.ELSEWHERE


def is_member(interaction: discord.Interaction[Any]) -> bool:
    """Whether the bot is in the server of `interaction`: an app may be there without its bot."""
    return interaction.client.get_guild(interaction.guild_id or 0) is not None


def reaches(interaction: discord.Interaction[Any]) -> bool:
    """Whether the bot can write where `interaction` was made without answering it."""
    return is_member(interaction) or context_of(interaction) is Context.DIRECT


@dataclass(frozen=True, slots=True)
class Contexts:
    """The owner's choice. direct, elsewhere: whether people may use the bot there."""

    direct: bool
    elsewhere: bool

    def offers(self, context: Context) -> bool:
        match context:
            case Context.SERVER:
                return True
            case Context.DIRECT:
                return self.direct
            case Context.ELSEWHERE:
                return self.elsewhere

    def check(self, context: Context) -> None:
        """Raise Refused if people may not use the bot there."""
        if not self.offers(context):
            raise Refused("where.direct" if context is Context.DIRECT else "where.elsewhere")

    def of_command(self, name: str) -> frozenset[Context]:
        """Where the command or menu entry of that name is offered."""
        if name in RIGHTS:
            return EVERYWHERE
        return frozenset(filter(self.offers, OFFERED.get(name, SERVERS)))

    def declare(self, commands: Iterable[Any]) -> None:
        """Say so in what is registered of `commands`: those of the tree's top level."""
        for command in commands:
            offered = self.of_command(command.name)
            elsewhere = Context.ELSEWHERE in offered
            command.guild_only = offered == SERVERS
            # What a person has installed works in their direct messages with the bot, too.
            command.allowed_contexts = app_commands.AppCommandContext(
                guild=True, dm_channel=Context.DIRECT in offered, private_channel=elsewhere
            )
            command.allowed_installs = app_commands.AppInstallationType(guild=True, user=elsewhere)
