"""/compare: one image again and again with one or two things changed, on a labelled sheet."""

import asyncio
from functools import partial
from typing import Any

from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import Here, here_of
from bot.chat.ui.compare_choices import value_choices
from bot.levels.defaults import LORAS
from bot.queue import JobQueue
from bot.request import (
    AXES,
    HIRES_SCALES,
    RANDOM,
    SEED_MAX,
    Draft,
    compare,
)
from bot.request.axes import LORA, WEIGHT, axes_asked, axis_named
from catalog import Catalog, LiveCatalog
from cogs.completing import (
    Choices,
    complete_lora,
    complete_model,
    complete_preset,
    complete_scheduler,
    complete_size,
    offered,
)
from cogs.composing import Composing
from cogs.defaults import filling, first_said
from cogs.places import accept, asked_by, check_here

AXIS_CHOICES = [
    Choice(name=locale_str(name, code=f"command.compare.axes.{name}"), value=name) for name in AXES
]


async def _values(
    interaction: Interaction, here: Here, catalog: Catalog, text: str, *, of: str
) -> Choices:
    """of: the option that names the axis."""
    typed = vars(interaction.namespace)
    if (axis := typed.get(of)) is None:
        return []
    draft = Draft.from_options({"prompt": "", **typed})
    saved = await Composing.of(interaction.client).saved(interaction, draft.preset)
    within: dict[str, Any] = {"nsfw": here.nsfw, "saved": saved}
    return await asyncio.to_thread(value_choices, axis, text, draft, catalog, **within)


class Compare(commands.Cog):
    """Turns the options of the command into a job of several cells."""

    def __init__(
        self,
        catalog: LiveCatalog,
        queue: JobQueue,
        delivery: Delivery,
        composing: Composing,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._delivery = delivery
        self._composing = composing

    @app_commands.command(description="command.compare.description")
    @app_commands.describe(
        prompt="command.compare.prompt",
        axis="command.compare.axis",
        values="command.compare.values",
        axis2="command.compare.second_axis",
        values2="command.compare.second_values",
        model="command.imagine.model",
        lora="command.imagine.lora",
        negative="command.imagine.negative",
        steps="command.imagine.steps",
        guidance="command.imagine.guidance",
        seed="command.compare.seed",
        size="command.imagine.size",
        scheduler="command.imagine.scheduler",
        preset="command.imagine.preset",
        hires="command.imagine.hires",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
    @app_commands.autocomplete(
        values=offered(partial(_values, of="axis")),
        values2=offered(partial(_values, of="axis2")),
        model=complete_model,
        lora=complete_lora,
        size=complete_size,
        scheduler=complete_scheduler,
        preset=complete_preset,
    )
    @app_commands.choices(axis=AXIS_CHOICES, axis2=AXIS_CHOICES)
    @app_commands.choices(hires=[Choice(name=f"{scale:g}×", value=scale) for scale in HIRES_SCALES])
    async def compare(
        self,
        interaction: Interaction,
        prompt: str,
        axis: str,
        values: str | None = None,
        axis2: str | None = None,
        values2: str | None = None,
        model: str | None = None,
        lora: str | None = None,
        negative: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: app_commands.Range[int, RANDOM, SEED_MAX] | None = None,
        size: str | None = None,
        scheduler: str | None = None,
        preset: str | None = None,
        hires: float | None = None,
        spoiler: bool | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        spoiler, hidden = first_said(spoiler, rules.spoiler), first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        options = locals()
        draft, asks = Draft.from_options(options), axes_asked(axis, values, axis2, values2)
        here, values_asked = here_of(interaction), [ask.values for ask in asks]
        saved = await self._composing.saved(interaction, draft.preset)
        names = (*draft.names, *values_asked, *(n for each in saved for n in each.options.names))
        catalog = here.offered(await self._catalog.knowing(*names))
        without = (LORAS,) if {axis_named(ask.name) for ask in asks} & {LORA, WEIGHT} else ()
        most = self._composing.adapters_max
        within: dict[str, Any] = {
            "nsfw": here.nsfw,
            "adapters_max": most,
            "hashes": await self._composing.hashes(*names),
            "saved": saved,
            "fill": filling(here, catalog, most, without=without),
        }
        # Composing every cell may take longer than the event loop can wait.
        found = await asyncio.to_thread(compare, draft, asks, catalog, **within)
        new = asked_by(
            interaction,
            found.request,
            kind="compare",
            hidden=hidden,
            spoiler=spoiler,
            warnings=found.notes,
        )
        await accept(interaction, self._queue, self._delivery, new)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        Compare(
            backend.catalog,
            backend.queue,
            services.delivery,
            Composing.of(bot),
        )
    )
