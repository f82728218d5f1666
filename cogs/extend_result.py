"""↔️ Extend: a select of the ways to paint on around each image of a result."""

import re
from math import inf
from typing import Final

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.here import Here, here_of
from bot.chat.ui.actions import ExtendId
from bot.chat.ui.extending import RATIOS, WAYS, ExtendById, extensions_view
from bot.errors import Refused
from bot.files.given import holding
from bot.request import Composed, Picture, compose_with_notes
from bot.request.repainting import extended
from bot.store import Job
from catalog import Catalog
from cogs.result_pictures import ResultPictures
from cogs.results import AskingComponent, Results, check_generated

PICKED: Final = re.compile(rf"([0-9]{{1,2}}) ({'|'.join(map(re.escape, (*WAYS, *RATIOS)))})")


class ExtendButton(AskingComponent[ExtendId]):
    """Asks which image, and how."""

    ids = ExtendId

    def __init__(self, results: Results, pictures: ResultPictures) -> None:
        super().__init__(results)
        self._pictures = pictures

    async def use(self, interaction: Interaction, custom_id: ExtendId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        check_generated(job)
        say = here_of(interaction).say
        view = extensions_view(say, job.id, await self._pictures.kept(job))
        await interaction.response.send_message(say("pick.extend"), view=view, ephemeral=True)


class ExtendSelect(AskingComponent[ExtendById]):
    """Queues what was picked."""

    ids = ExtendById

    def __init__(self, results: Results, pictures: ResultPictures, adapters_max: int) -> None:
        super().__init__(results)
        self._pictures = pictures
        self._adapters_max = adapters_max

    async def use(self, interaction: Interaction, custom_id: ExtendById) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        check_generated(job)
        found = PICKED.fullmatch(picked(interaction))
        if found is None or int(found[1]) >= job.request.count:
            raise Refused("error.component")
        n, way = int(found[1]), found[2]
        catalog = await self._results.offered(interaction, *job.request.names)
        here = here_of(interaction)
        self._composed(job, n, await self._pictures.promised(job, n), way, catalog, here)
        # Its image is encoded once more, which may take longer than Discord waits.
        await self._results.postpone(interaction, job)
        async with holding(self._results.store, self._pictures.inputs) as keep:
            image = await self._pictures.take(job, n, "image", keep)
            composed = self._composed(job, n, image, way, catalog, here)
            await self._results.ask(
                interaction,
                composed.request,
                kind="extend",
                parent=job,
                warnings=composed.notes,
                catalog=catalog,
            )

    def _composed(
        self, job: Job, n: int, image: Picture, way: str, catalog: Catalog, here: Here
    ) -> Composed:
        most = here.rules.pixels_max or inf
        return compose_with_notes(
            extended(job.request, n, image, way, catalog, nsfw=here.nsfw, pixels_max=most),
            catalog,
            nsfw=here.nsfw,
            # What was painted once stays possible, whatever the limit is now.
            adapters_max=max(self._adapters_max, len(job.request.adapters)),
        )


async def setup(bot: ImagenBot) -> None:
    results, pictures = Results.of(bot), ResultPictures.of(bot)
    adapters_max = bot.services.backend.settings.max_adapters
    bot.components.add(ExtendButton(results, pictures))
    bot.components.add(ExtendSelect(results, pictures, adapters_max))
