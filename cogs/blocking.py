"""Keeping a list of blocked words: what /words does for a server, and /admin words for all."""

import io
from typing import Any, cast

import discord
from discord.app_commands import Choice, locale_str

from bot.chat.client import Interaction
from bot.chat.here import here_of
from bot.chat.ui.choices import CHOICE_LENGTH, CHOICES_MAX
from bot.chat.ui.markdown import code, seen
from bot.chat.ui.words import action_text, found_words, word_list
from bot.moderation.owner_file import typed_entry
from bot.moderation.texts import Checked
from bot.moderation.word_list import ACTIONS, Action, Blocked, EntryKind, as_typed
from bot.moderation.words import Words
from bot.store import OWNER, discord_person
from bot.texts.language import Texts


def action_choices(texts: Texts) -> list[Choice[str]]:
    """What may be done about a word, in each language."""
    say = texts.speaker()
    return [
        Choice(
            name=locale_str(action_text(say, action), code=f"words.action.{action}"), value=action
        )
        for action in ACTIONS
    ]


class Blocking:
    """Answers privately: what is blocked is nobody else's business."""

    def __init__(self, words: Words) -> None:
        self._words = words

    async def add(
        self, interaction: Interaction, community: str, word: str, action: str | None
    ) -> None:
        chosen = next((known for known in ACTIONS if known == action), ACTIONS[0])
        entry = typed_entry(word, chosen)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._words.add(community, entry, discord_person(interaction.user.id))
        say = here_of(interaction).say
        what = action_text(say, entry.action)
        await _answer(
            interaction, say("words.panel.added", entry=code(as_typed(entry)), action=what)
        )

    async def remove(self, interaction: Interaction, community: str, word: str) -> None:
        entry = typed_entry(word, ACTIONS[0])
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._words.remove(community, entry, discord_person(interaction.user.id))
        say = here_of(interaction).say
        await _answer(interaction, say("words.panel.removed", entry=code(as_typed(entry))))

    async def show(self, interaction: Interaction, community: str) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        in_file = await self._words.of_file() if community == OWNER else ()
        page = word_list(here_of(interaction).say, await self._entries(community), in_file)
        files: dict[str, Any] = {}
        if page.file is not None:
            data = io.BytesIO(page.file.encode())
            files["file"] = discord.File(data, "blocked_words.txt")
        await interaction.followup.send(page.text, ephemeral=True, **files)

    async def test(self, interaction: Interaction, community: str, text: str) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        owner = community == OWNER
        finding = await self._words.find(Checked((text,), (text,)), None if owner else community)
        await _answer(interaction, found_words(here_of(interaction).say, finding, owner=owner))

    async def complete(self, community: str, text: str) -> list[Choice[str]]:
        """The entries that `text` may mean. The value is typed again as it is."""
        wanted = text.strip().casefold()
        found = [
            typed
            for entry in await self._entries(community)
            if wanted in (typed := as_typed(entry)).casefold() and len(typed) <= CHOICE_LENGTH
        ]
        return [Choice(name=seen(typed) or typed, value=typed) for typed in found[:CHOICES_MAX]]

    async def _entries(self, community: str) -> list[Blocked]:
        rows = await self._words.of(community)
        return [
            Blocked(row.text, cast("EntryKind", row.kind), cast("Action", row.action))
            for row in rows
        ]


async def _answer(interaction: Interaction, text: str) -> None:
    await interaction.followup.send(text, ephemeral=True)
