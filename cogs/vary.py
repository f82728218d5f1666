"""🧬 Vary: images that are close to one of a result."""

import re
from typing import Final

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.here import here_of
from bot.chat.ui.actions import VaryId
from bot.chat.ui.picking import STRENGTHS, VaryById, variations_view
from bot.errors import Refused
from bot.request import draw_seed
from bot.request.variation import check_length
from bot.store import Job
from cogs.results import AskingComponent, Results, check_generated

PICKED: Final = re.compile(rf"([0-9]{{1,2}}) ({'|'.join(map(re.escape, STRENGTHS))})")


class VaryButton(AskingComponent[VaryId]):
    """Asks which image, and how much."""

    ids = VaryId

    async def use(self, interaction: Interaction, custom_id: VaryId) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        _check_can_be_varied(job)
        images = await self._results.store.images(job.id)
        say = here_of(interaction).say
        view = variations_view(say, job.id, [image.n for image in images])
        await interaction.response.send_message(say("pick.variations"), view=view, ephemeral=True)


class VarySelect(AskingComponent[VaryById]):
    """Queues what was picked: as many as may be asked for at once."""

    ids = VaryById

    async def use(self, interaction: Interaction, custom_id: VaryById) -> None:
        job = await self._results.usable(interaction, custom_id.job_id)
        _check_can_be_varied(job)
        found = PICKED.fullmatch(picked(interaction))
        if found is None or int(found[1]) >= job.request.count:
            raise Refused("error.component")
        count = await self._results.count_max(interaction)
        varied = job.request.alone(int(found[1]))
        request = varied.variations(draw_seed(), float(found[2]), count)
        await self._results.ask(interaction, request, kind="vary", parent=job)


def _check_can_be_varied(job: Job) -> None:
    """Raise Refused as `check_generated`, and InvalidRequest for one that was varied too often."""
    check_generated(job)
    check_length(len(job.request.mixes) + 1)


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    bot.components.add(VaryButton(results), VarySelect(results))
