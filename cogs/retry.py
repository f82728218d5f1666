"""The buttons below a job that failed: retry it, with lower memory needs where it ran out of GPU
memory."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.ui.buttons import AnewId, RetryId
from bot.errors import Refused
from bot.request import GenerationRequest, lighter
from bot.store import Job, Kind, discord_person
from cogs.results import AskingComponent, Results


class RetryButton(AskingComponent[RetryId]):
    """Queues the failed request again with lower memory needs, for its author only."""

    ids = RetryId

    async def use(self, interaction: Interaction, custom_id: RetryId) -> None:
        job = await self._results.store.find(custom_id.job_id)
        if job is None:
            raise Refused("lighter.gone")
        if job.person != discord_person(interaction.user.id):
            raise Refused("lighter.foreign")
        catalog = await self._results.offered(interaction, *job.request.names)
        request = lighter(job.request, catalog.family_of(job.request.model))
        if request is None:
            raise Refused("lighter.gone")
        await self._results.ask(
            interaction,
            request,
            kind=_kind(job, request),
            parent=job,
            catalog=catalog,
            warnings=job.warnings,
        )


class AnewButton(AskingComponent[AnewId]):
    """Queues the failed request again, as it is."""

    ids = AnewId

    async def use(self, interaction: Interaction, custom_id: AnewId) -> None:
        job = await self._results.askable(interaction, custom_id.job_id)
        await self._results.ask(
            interaction,
            job.request,
            kind=_kind(job, job.request),
            parent=job,
            warnings=job.warnings,
        )


def _kind(job: Job, request: GenerationRequest) -> Kind:
    """Of `request`, asked for in the place of `job`: it repeats nothing to the byte, as a reroll
    has to, and what repaints no details any more is told as any other."""
    undone = job.kind == "detail" and not request.detail
    return "imagine" if job.kind == "reroll" or undone else job.kind


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    bot.components.add(RetryButton(results), AnewButton(results))
