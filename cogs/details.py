"""ℹ️ Details: privately, everything a result was made with."""

import asyncio
import logging
from functools import partial
from io import BytesIO

import discord

from bot.backend import Backend
from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.ui.actions import DetailsId
from bot.chat.ui.details import command_text, details_embed, recipe_json
from bot.files.inputs import MASK
from bot.store import Discord, Job
from bot.today import Today, today
from cogs.places import check_may_repeat
from cogs.results import Results

log = logging.getLogger(__name__)


class Details:
    """Shows them."""

    def __init__(self, results: Results, backend: Backend) -> None:
        self.results = results
        self._backend = backend

    async def show(self, interaction: Interaction, job: Job) -> None:
        catalog = self._backend.catalog.current
        check_may_repeat(job, catalog, nsfw=here_of(interaction).nsfw)
        await interaction.response.defer(ephemeral=True, thinking=True)
        images = await self._backend.store.images(job.id)
        say = here_of(interaction).say
        embed = details_embed(say, job, images, await self.today(job))
        files = [discord.File(BytesIO(recipe_json(job, images)), f"{job.id}.json")]
        if (mask := await self._mask_for(interaction, job)) is not None:
            files.append(discord.File(BytesIO(mask), f"{MASK}.png"))
        content = command_text(say, job.request, catalog.controlnets)
        await interaction.followup.send(
            content or discord.utils.MISSING, embed=embed, files=files, ephemeral=True
        )

    async def _mask_for(self, interaction: Interaction, job: Job) -> bytes | None:
        """The file of the mask, if it is still there: that of 🖌️ is nowhere else.

        Only for who asked for the job: the image check does not look at masks.
        """
        init = job.request.init_image
        if init is None or init.mask is None:
            return None
        if interaction.user.id != Discord.of(job.origin).user_id:
            return None
        try:
            data = await asyncio.to_thread(self._backend.inputs.read, init.mask)
        except OSError as error:
            log.warning("job %s: its mask cannot be read: %s", job.id, type(error).__name__)
            return None
        return data if len(data) <= interaction.filesize_limit else None

    async def today(self, job: Job) -> Today | None:
        """Whether it would be the same today; None if there is nothing to tell it by."""
        if job.recipe is None or job.started_at is None:
            return None
        settings = self._backend.settings
        look = partial(
            today,
            job.recipe,
            job.started_at,
            self._backend.catalog.current,
            settings.models_dir.absolute(),
            settings.hashes_file.absolute(),
            await self._backend.store.known_weights.environment(),
            [lane.environment for lane in self._backend.queue.lanes],
        )
        return await asyncio.to_thread(look)


class DetailsButton(Component[DetailsId]):
    ids = DetailsId

    def __init__(self, details: Details) -> None:
        self._details = details

    async def check(self, interaction: Interaction, custom_id: DetailsId) -> None:
        self._details.results.check_may_use(interaction)

    async def use(self, interaction: Interaction, custom_id: DetailsId) -> None:
        job = await self._details.results.shown(interaction, custom_id.job_id)
        await self._details.show(interaction, job)


async def setup(bot: ImagenBot) -> None:
    bot.components.add(DetailsButton(Details(Results.of(bot), bot.services.backend)))
