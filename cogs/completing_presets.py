"""Autocomplete for presets: those of the model, of the person, of the server, and the styles."""

import asyncio

import discord

from bot.chat.client import ImagenBot
from bot.chat.here import here_of
from bot.chat.ui.presets import preset_choices
from bot.store.presets import Presets
from catalog import LiveCatalog
from cogs.completing import Choices, Completing, chosen_model

Interaction = discord.Interaction[ImagenBot]


class CompletingPresets:
    """completing: says who would be refused anyway."""

    def __init__(self, catalog: LiveCatalog, presets: Presets, completing: Completing) -> None:
        self._catalog = catalog
        self._presets = presets
        self._completing = completing

    async def __call__(self, interaction: Interaction, text: str) -> Choices:
        if self._completing.turned_away(interaction):
            return []
        here = here_of(interaction)
        catalog = here.offered(self._catalog.current)
        model = chosen_model(interaction, catalog, nsfw=here.nsfw)
        saved = await self._presets.of(here.place.person, here.place.community)
        # What each of them names is looked up, which may take longer than the event loop can wait.
        return await asyncio.to_thread(
            preset_choices, text, saved, model, catalog, here.say, nsfw=here.nsfw
        )
