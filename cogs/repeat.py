"""The buttons below a result that do it again: with the same seed, or with a new one."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.ui.actions import ActionId, NewSeedId, SameSeedId
from cogs.results import AskingComponent, Results


class RepeatButton(AskingComponent[ActionId]):
    """Queues the request of a result again."""

    def __init__(self, ids: type[ActionId], results: Results) -> None:
        self.ids = ids
        super().__init__(results)

    async def use(self, interaction: Interaction, custom_id: ActionId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        await self._results.repeat(interaction, job, same_seed=self.ids is SameSeedId)


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    for ids in (SameSeedId, NewSeedId):
        bot.components.add(RepeatButton(ids, results))
