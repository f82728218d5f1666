"""The button below a job that ran out of GPU memory: retry with lower memory needs."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.ui.buttons import RetryId
from bot.errors import Refused
from bot.request import lighter
from bot.store import discord_person
from cogs.results import AskingComponent, Results

Interaction = discord.Interaction[ImagenBot]


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
            # It repeats nothing to the byte, as a reroll has to.
            kind="imagine" if job.kind == "reroll" else job.kind,
            parent=job,
            catalog=catalog,
            warnings=job.warnings,
        )


async def setup(bot: ImagenBot) -> None:
    bot.components.add(RetryButton(Results.of(bot)))
