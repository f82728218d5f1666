"""Autocomplete for the options that several commands have."""

from typing import Self

import discord
from discord.app_commands import Choice

from bot.chat.client import ImagenBot
from bot.chat.here import here_of
from bot.chat.ui.choices import (
    adapter_choices,
    control_choices,
    describe_choices,
    detail_choices,
    extend_choices,
    model_choices,
    scheduler_choices,
    size_choices,
    upscaler_choices,
)
from bot.choosing import ADAPTER, MODEL, First
from bot.errors import Refused, UserError
from bot.queue import JobQueue
from bot.request import describe_styles, editing_models, find_model, usual_model
from bot.request.presets import schedulers_of
from catalog import SCHEDULERS, Catalog, LiveCatalog, ModelEntry

Interaction = discord.Interaction[ImagenBot]
Choices = list[Choice[str]]


class Completing:
    """Completes from memory, except that what a person has used is read from the store once.

    Nothing is offered to those who would be refused anyway. first: what is offered first. edits:
    whether the command edits images, for which the usual model may be another.
    """

    def __init__(
        self, catalog: LiveCatalog, queue: JobQueue, first: First, *, edits: bool = False
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._first = first
        self._edits = edits

    @classmethod
    def of(cls, bot: ImagenBot, *, edits: bool = False) -> Self:
        """With the parts of `bot`."""
        backend = bot.services.backend
        return cls(backend.catalog, backend.queue, backend.first_for, edits=edits)

    async def model(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        first = await self._first(here_of(interaction).place.person, MODEL)
        return model_choices(text, catalog, nsfw=nsfw, first=first)

    def editing_model(self, interaction: Interaction, text: str) -> Choices:
        """Those that edit images."""
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        able = [model.key for model in editing_models(catalog, nsfw=nsfw)]
        return model_choices(text, catalog, nsfw=nsfw, among=able)

    async def lora(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        return adapter_choices(
            text,
            catalog,
            here_of(interaction).say,
            nsfw=nsfw,
            model=model.key if model else None,
            first=await self._first(here_of(interaction).place.person, ADAPTER),
        )

    def size(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        if model is None:
            return []
        return size_choices(text, model, here_of(interaction).say)

    def extend(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        return extend_choices(text, here_of(interaction).say)

    def control(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        return [] if model is None else control_choices(text, catalog, nsfw=nsfw, model=model)

    def detail(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, _ = self._offered(interaction)
        return [] if catalog.detector is None else detail_choices(text)

    def style(self, interaction: Interaction, text: str) -> Choices:
        """In which images can be described."""
        if self.turned_away(interaction):
            return []
        catalog, _ = self._offered(interaction)
        return describe_choices(text, describe_styles(catalog), here_of(interaction).say)

    def scheduler(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        if model is None:
            return scheduler_choices(text, SCHEDULERS)
        preset = interaction.namespace.preset
        return scheduler_choices(text, schedulers_of(preset, model, catalog, nsfw=nsfw))

    def upscaler(self, interaction: Interaction, text: str) -> Choices:
        if self.turned_away(interaction):
            return []
        catalog, nsfw = self._offered(interaction)
        return upscaler_choices(text, catalog, nsfw=nsfw)

    def _chosen(
        self, interaction: Interaction, catalog: Catalog, *, nsfw: bool
    ) -> ModelEntry | None:
        return chosen_model(interaction, catalog, nsfw=nsfw, edits=self._edits)

    def _offered(self, interaction: Interaction) -> tuple[Catalog, bool]:
        """What may be used here, and whether that includes what is marked NSFW."""
        here = here_of(interaction)
        return here.offered(self._catalog.current), here.nsfw

    def turned_away(self, interaction: Interaction) -> bool:
        """Whether the user would be refused anyway; the sentence comes with the command."""
        place = here_of(interaction).place
        try:
            self._queue.check_person(place.person, place.roles, place.community)
        except Refused:
            return True
        return False


def chosen_model(
    interaction: Interaction, catalog: Catalog, *, nsfw: bool, edits: bool = False
) -> ModelEntry | None:
    """The model typed so far, by key or name, or the usual one; None if not offered here.

    edits: whether the command edits images.
    """
    try:
        typed = interaction.namespace.model or usual_model(catalog, nsfw=nsfw, edits=edits)
        return find_model(catalog, typed, nsfw=nsfw)
    except UserError:
        return None
