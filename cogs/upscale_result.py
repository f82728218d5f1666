"""⬆️ Upscale: a select of the ways to enlarge each image of a result."""

import re
from typing import Final

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.here import here_of
from bot.chat.ui.actions import UpscaleId
from bot.chat.ui.picking import HIRES, WAYS, EnlargeId, ways_view
from bot.errors import Refused
from bot.files.given import holding
from bot.request import CRISP, GenerationRequest, check_offered, compose, redraft, upscale_of
from bot.store import Job, shown_images
from cogs.result_pictures import ResultPictures
from cogs.results import AskingComponent, Results

PICKED: Final = re.compile(rf"([0-9]{{1,2}}) ({'|'.join(WAYS)}) ([0-9](?:\.[0-9])?)")


class UpscaleButton(AskingComponent[UpscaleId]):
    """Asks which image, and how."""

    ids = UpscaleId

    def __init__(self, results: Results, pictures: ResultPictures) -> None:
        super().__init__(results)
        self._pictures = pictures

    async def use(self, interaction: Interaction, custom_id: UpscaleId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        images = shown_images(job, await self._pictures.kept(job))
        say = here_of(interaction).say
        view = ways_view(say, job, images)
        if view is None:
            raise Refused("action.large")
        await interaction.response.send_message(say("pick.upscale"), view=view, ephemeral=True)


class EnlargeSelect(AskingComponent[EnlargeId]):
    """Queues what was picked."""

    ids = EnlargeId

    def __init__(self, results: Results, pictures: ResultPictures, adapters_max: int) -> None:
        super().__init__(results)
        self._pictures = pictures
        self._adapters_max = adapters_max

    async def use(self, interaction: Interaction, custom_id: EnlargeId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        found = PICKED.fullmatch(picked(interaction))
        if found is None or int(found[1]) >= job.request.count or job.request.comparison:
            raise Refused("error.component")
        n, mode, scale = int(found[1]), found[2], float(found[3])
        if mode == HIRES:
            request = await self._again_larger(interaction, job, n, scale)
            await self._results.ask(interaction, request, kind="upscale", parent=job)
            return
        # Its image is encoded once more, which may take longer than Discord waits.
        await self._results.postpone(interaction, job)
        here = here_of(interaction)
        catalog = here.offered(self._results.catalog.current)
        async with holding(self._results.store, self._pictures.inputs) as keep:
            picture = await self._pictures.take(job, n, "image", keep)
            request = upscale_of(
                job.request.alone(n),
                0,
                picture,
                catalog,
                nsfw=here.nsfw,
                scale=scale,
                mode=mode,
            )
            if mode != CRISP:
                check_offered(request, catalog, nsfw=here.nsfw)
            await self._results.ask(interaction, request, kind="upscale", parent=job)

    async def _again_larger(
        self, interaction: Interaction, job: Job, n: int, scale: float
    ) -> GenerationRequest:
        """The request of image `n` with a second pass."""
        nsfw = here_of(interaction).nsfw
        catalog = await self._results.offered(interaction, *job.request.names)
        draft = redraft(job.request, catalog, nsfw=nsfw, n=n, hires=scale)
        most = max(self._adapters_max, len(job.request.adapters))
        return compose(draft, catalog, nsfw=nsfw, adapters_max=most)


async def setup(bot: ImagenBot) -> None:
    results, pictures = Results.of(bot), ResultPictures.of(bot)
    adapters_max = bot.services.backend.settings.max_adapters
    bot.components.add(UpscaleButton(results, pictures))
    bot.components.add(EnlargeSelect(results, pictures, adapters_max))
