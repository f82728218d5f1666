"""➕ More: the actions on a result that have no button of their own below it."""

from collections.abc import Callable
from typing import TypeVar

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.ui.actions import EveryId, MoreId, Rows, more_view, rows_of_every, rows_of_more
from bot.request import describe_styles, editing_models
from bot.request.detailing import can_be_detailed
from bot.request.repainting import can_be_repainted
from bot.store import Discord
from cogs.results import Results

IdT = TypeVar("IdT", MoreId, EveryId)


class MoreButton(Component[IdT]):
    """rows: which buttons it offers, of a request, whether its result is hidden, whether a model
    here edits images by what is said, and whether these can be extended, or repainted in part,
    or their faces painted again, or described."""

    def __init__(self, results: Results, ids: type[IdT], rows: Callable[..., Rows]) -> None:
        self.ids = ids
        self._results = results
        self._rows = rows

    async def check(self, interaction: Interaction, custom_id: IdT) -> None:
        self._results.check_may_use(interaction)

    async def use(self, interaction: Interaction, custom_id: IdT) -> None:
        job = await self._results.shown(interaction, custom_id.job_id)
        here = here_of(interaction)
        offered = here.offered(self._results.catalog.current)
        rows = self._rows(
            job.request,
            hidden=Discord.of(job.origin).hidden,
            words=bool(editing_models(offered, nsfw=here.nsfw)),
            repainting=can_be_repainted(job.request, offered),
            detailing=can_be_detailed(job.request, offered),
            describing=bool(describe_styles(offered)),
        )
        view = more_view(here.say, job.id, rows)
        await interaction.response.send_message(here.say("more.choose"), view=view, ephemeral=True)


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    bot.components.add(MoreButton(results, MoreId, rows_of_more))
    bot.components.add(MoreButton(results, EveryId, rows_of_every))
