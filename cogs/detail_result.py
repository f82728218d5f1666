"""🙂 Detail faces: a result made again, with its faces painted at full size."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.chat.ui.actions import DetailId
from bot.errors import Refused
from bot.request.detailing import can_be_detailed, with_faces
from cogs.repeating import repeated
from cogs.results import AskingComponent, Results, check_generated


class DetailButton(AskingComponent[DetailId]):
    """Queues the request of a result again, on the machine and with the kernels that made it."""

    ids = DetailId

    async def use(self, interaction: Interaction, custom_id: DetailId) -> None:
        results = self._results
        job = await results.usable(interaction, custom_id.job_id)
        check_generated(job)
        catalog = await results.offered(interaction, *job.request.names)
        if catalog.detector is None:
            raise Refused("detail.no_detector")
        if not can_be_detailed(job.request, catalog):
            raise Refused("action.detailed")
        nsfw = here_of(interaction).nsfw
        request, _ = repeated(job, catalog, nsfw=nsfw, same_seed=True)
        await results.ask(
            interaction, with_faces(request), kind="detail", parent=job, catalog=catalog
        )


async def setup(bot: ImagenBot) -> None:
    bot.components.add(DetailButton(Results.of(bot)))
