"""➕ More: the actions on a result that have no button of their own below it."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.ui.actions import MoreId, more_view, rows_of_more
from bot.store import Discord
from cogs.results import Results

Interaction = discord.Interaction[ImagenBot]


class MoreButton(Component[MoreId]):
    ids = MoreId

    def __init__(self, results: Results) -> None:
        self._results = results

    async def check(self, interaction: Interaction, custom_id: MoreId) -> None:
        self._results.check_may_use(interaction)

    async def use(self, interaction: Interaction, custom_id: MoreId) -> None:
        job = await self._results.shown(interaction, custom_id.job_id)
        say = here_of(interaction).say
        rows = rows_of_more(job.request, hidden=Discord.of(job.origin).hidden)
        view = more_view(say, job.id, rows)
        await interaction.response.send_message(say("more.choose"), view=view, ephemeral=True)


async def setup(bot: ImagenBot) -> None:
    bot.components.add(MoreButton(Results.of(bot)))
