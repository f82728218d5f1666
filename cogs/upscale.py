"""/upscale: an image made larger."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.queue import JobQueue
from bot.request import (
    STRENGTH,
    UPSCALE_MODES,
    UPSCALE_SCALES,
    Composed,
    UpscaleDraft,
    compose_upscale,
)
from catalog import LiveCatalog
from cogs.attachments import Attachments, promised
from cogs.completing import complete_model, complete_upscaler
from cogs.defaults import first_said
from cogs.places import accept, asked_by, check_here


class UpscaleImage(commands.Cog):
    """Turns the options of the command into a job."""

    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        queue: JobQueue,
        delivery: Delivery,
        attachments: Attachments,
        adapters_max: int,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._delivery = delivery
        self._attachments = attachments
        self._adapters_max = adapters_max

    @app_commands.command(description="command.upscale.description")
    @app_commands.describe(
        image="command.upscale.image",
        scale="command.upscale.scale",
        upscaler="command.upscale.upscaler",
        mode="command.upscale.mode",
        prompt="command.upscale.prompt",
        model="command.upscale.model",
        strength="command.upscale.strength",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
    @app_commands.choices(scale=[Choice(name=f"{by:g}×", value=by) for by in UPSCALE_SCALES])
    @app_commands.choices(mode=[Choice(name=mode, value=mode) for mode in UPSCALE_MODES])
    @app_commands.autocomplete(upscaler=complete_upscaler, model=complete_model)
    async def upscale(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        scale: float | None = None,
        upscaler: str | None = None,
        mode: str | None = None,
        prompt: str | None = None,
        model: str | None = None,
        strength: app_commands.Range[float, STRENGTH[0], STRENGTH[2]] | None = None,
        spoiler: bool | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        spoiler, hidden = first_said(spoiler, rules.spoiler), first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        draft = UpscaleDraft(
            image=promised("image", image),
            scale=scale,
            upscaler=upscaler,
            mode=mode,
            prompt=prompt,
            model=model,
            strength=strength,
        )
        composed = await self._compose(interaction, draft)
        new = asked_by(
            interaction, composed.request, kind="upscale", hidden=hidden, spoiler=spoiler
        )
        async with (
            self._queue.reserving(new),
            self._attachments.holding() as keep,
        ):
            # Fetching it may take longer than the three seconds allowed for an answer.
            await self._delivery.defer(interaction, hidden=hidden)
            mode = here_of(interaction).image_check
            kept = await self._attachments.fetch("image", image, keep, mode)
            draft = replace(draft, image=kept)
            composed = await self._compose(interaction, draft)
            new = replace(new, request=composed.request, warnings=composed.notes)
            await accept(interaction, self._queue, self._delivery, new)

    async def _compose(self, interaction: Interaction, draft: UpscaleDraft) -> Composed:
        here = here_of(interaction)
        return compose_upscale(
            draft,
            here.offered(await self._catalog.knowing(*draft.names)),
            nsfw=here.nsfw,
            adapters_max=self._adapters_max,
        )


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        UpscaleImage(
            catalog=backend.catalog,
            queue=backend.queue,
            delivery=services.delivery,
            attachments=Attachments.of(bot),
            adapters_max=backend.settings.max_adapters,
        )
    )
