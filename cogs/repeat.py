"""The buttons below a result that do it again: with the same seed, or with a new one."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.ui.actions import ActionId, NewSeedId, SameSeedId
from cogs.results import Results

Interaction = discord.Interaction[ImagenBot]


class RepeatButton(Component[ActionId]):
    """Queues the request of a result again."""

    def __init__(self, ids: type[ActionId], results: Results) -> None:
        self.ids = ids
        self._results = results

    async def check(self, interaction: Interaction, custom_id: ActionId) -> None:
        self._results.check_may_ask(interaction)

    async def use(self, interaction: Interaction, custom_id: ActionId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        await self._results.repeat(interaction, job, same_seed=self.ids is SameSeedId)


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    for ids in (SameSeedId, NewSeedId):
        bot.components.add(RepeatButton(ids, results))
