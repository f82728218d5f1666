"""Autocomplete for the options that several commands have.

From memory, except that presets, and what a person has used, are read from the store.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias

from discord.app_commands import Choice

from bot.chat.client import Interaction
from bot.chat.here import Here, here_of
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
from bot.chat.ui.presets import preset_choices
from bot.choosing import ADAPTER, MODEL
from bot.errors import Refused, UserError
from bot.request import describe_styles, editing_models, find_model, usual_model
from bot.request.presets import schedulers_of
from catalog import SCHEDULERS, Catalog, ModelEntry

Choices: TypeAlias = list[Choice[str]]
Complete: TypeAlias = Callable[[Interaction, str], Coroutine[Any, Any, Choices]]
Find: TypeAlias = Callable[[Interaction, Here, Catalog, str], Coroutine[Any, Any, Choices]]


def offered(find: Find) -> Complete:
    """`find`, given what may be used here. Those who would be refused anyway are offered nothing:
    the sentence comes with the command."""

    async def complete(interaction: Interaction, text: str) -> Choices:
        backend, here = interaction.client.services.backend, here_of(interaction)
        try:
            backend.queue.check_person(here.place.person, here.place.roles, here.place.community)
        except Refused:
            return []
        return await find(interaction, here, here.offered(backend.catalog.current), text)

    return complete


@offered
async def complete_model(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    first = await interaction.client.services.backend.first_for(here.place.person, MODEL)
    return model_choices(text, catalog, nsfw=here.nsfw, first=first)


@offered
async def complete_editing_model(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    """Those that edit images."""
    able = [model.key for model in editing_models(catalog, nsfw=here.nsfw)]
    return model_choices(text, catalog, nsfw=here.nsfw, among=able)


async def _loras(
    interaction: Interaction, here: Here, catalog: Catalog, text: str, *, edits: bool = False
) -> Choices:
    model = _chosen(interaction, here, catalog, edits=edits)
    return adapter_choices(
        text,
        catalog,
        here.say,
        nsfw=here.nsfw,
        model=model.key if model else None,
        first=await interaction.client.services.backend.first_for(here.place.person, ADAPTER),
    )


async def _sizes(
    interaction: Interaction, here: Here, catalog: Catalog, text: str, *, edits: bool = False
) -> Choices:
    model = _chosen(interaction, here, catalog, edits=edits)
    return [] if model is None else size_choices(text, model, here.say)


complete_lora = offered(_loras)
complete_size = offered(_sizes)
complete_editing_lora = offered(partial(_loras, edits=True))
complete_editing_size = offered(partial(_sizes, edits=True))


@offered
async def complete_extend(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    return extend_choices(text, here.say)


@offered
async def complete_control(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    model = _chosen(interaction, here, catalog)
    return [] if model is None else control_choices(text, catalog, nsfw=here.nsfw, model=model)


@offered
async def complete_detail(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    return [] if catalog.detector is None else detail_choices(text)


@offered
async def complete_style(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    """In which images can be described."""
    return describe_choices(text, describe_styles(catalog), here.say)


@offered
async def complete_scheduler(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    model = _chosen(interaction, here, catalog)
    if model is None:
        return scheduler_choices(text, SCHEDULERS)
    preset = interaction.namespace.preset
    return scheduler_choices(text, schedulers_of(preset, model, catalog, nsfw=here.nsfw))


@offered
async def complete_upscaler(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    return upscaler_choices(text, catalog, nsfw=here.nsfw)


@offered
async def complete_preset(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    """Those of the model, of the person, of the server, and the styles."""
    model = _chosen(interaction, here, catalog)
    presets = interaction.client.services.backend.store.presets
    saved = await presets.of(here.place.person, here.place.community)
    # What each of them names is looked up, which may take longer than the event loop can wait.
    return await asyncio.to_thread(
        preset_choices, text, saved, model, catalog, here.say, nsfw=here.nsfw
    )


def _chosen(
    interaction: Interaction, here: Here, catalog: Catalog, *, edits: bool = False
) -> ModelEntry | None:
    """The model typed so far, by key or name, or the usual one; None if not offered here.

    edits: whether the command edits images, for which the usual model may be another.
    """
    try:
        typed = interaction.namespace.model or usual_model(catalog, nsfw=here.nsfw, edits=edits)
        return find_model(catalog, typed, nsfw=here.nsfw)
    except UserError:
        return None
