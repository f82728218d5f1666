"""The command tree: every error in a command, button or modal ends in its `on_error`.

It also drops duplicates, since a resumed connection may deliver an interaction again, and what
another copy of the bot answers.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import CommandInvokeError

from bot.chat.copies import Copies
from bot.chat.errors import answer_error
from bot.chat.here import FindHere
from bot.errors import AnsweredElsewhere
from bot.texts.language import Texts

log = logging.getLogger(__name__)

REMEMBERED = 10_000
"""How many interaction ids are kept to recognise those that a resumed connection repeats."""


class ImagenTree(app_commands.CommandTree[Any]):
    """A CommandTree whose errors are answered in one sentence.

    Before anything else it finds out what holds for the person there, see bot.chat.here. The client
    sets `texts`, and `find_here` before login.
    """

    texts: Texts
    find_here: FindHere

    def __init__(self, client: discord.Client, **options: Any) -> None:
        super().__init__(client, **options)
        self._seen: dict[int, None] = {}
        self.copies = Copies()

    def is_new(self, interaction: discord.Interaction[Any]) -> bool:
        """Whether this interaction is seen for the first time; remembers it."""
        if interaction.id in self._seen:
            log.warning("interaction %d received again; dropped", interaction.id)
            return False
        self._seen[interaction.id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        if not self.is_new(interaction) or await self.copies.leave_to_the_other(interaction):
            return False
        try:
            await self.find_here(interaction)
        except Exception as error:
            await self.on_error(interaction, error)
            return False
        return True

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception, /) -> None:
        original = error.original if isinstance(error, CommandInvokeError) else error
        try:
            await self.copies.check(interaction, original)
        except AnsweredElsewhere as elsewhere:
            error = elsewhere
        await answer_error(interaction, error, self.texts)

    async def run_once(
        self, interaction: discord.Interaction[Any], action: Callable[[], Awaitable[None]]
    ) -> None:
        """Run `action` unless this interaction is a replay; answer its errors.

        For component callbacks, whose exceptions discord.py would only log.
        """
        if not self.is_new(interaction) or await self.copies.leave_to_the_other(interaction):
            return
        try:
            await self.find_here(interaction)
            await action()
        except Exception as error:
            await self.on_error(interaction, error)
