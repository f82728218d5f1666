"""📢 Publish: shows a result that only its requester sees to everyone in the channel."""

from dataclasses import replace

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.chat.ui.actions import PublishId
from bot.errors import Refused
from bot.store import Discord
from cogs.history.sending import Showing
from cogs.places import asked_by
from cogs.results import AskingComponent, Results


class PublishButton(AskingComponent[PublishId]):
    ids = PublishId

    def __init__(self, results: Results, delivery: Delivery, showing: Showing) -> None:
        super().__init__(results)
        self._delivery = delivery
        self._showing = showing

    async def use(self, interaction: Interaction, custom_id: PublishId) -> None:
        job = await self._results.shown(interaction, custom_id.job_id)
        origin = Discord.of(job.origin)
        # To anyone but its person, a hidden one is not shown.
        if not origin.hidden:
            raise Refused("publish.twice")
        if origin.absent:
            raise Refused("where.publish")
        if origin.withheld:
            raise Refused("publish.withheld")
        if interaction.channel_id != origin.channel_id:
            raise Refused("publish.elsewhere", channel=origin.channel_id or 0)
        await interaction.response.defer(ephemeral=True, thinking=True)
        # Since it was asked for, the rules here may have changed.
        new = replace(asked_by(interaction, job.request), id=job.id)
        shown = await self._showing.admitted(new, job)
        if shown.spoiler and not origin.spoiler:
            await self._results.store.messages.set_shown(job.id, True, origin.image_check)
        await self._delivery.afterwards.publish(replace(job, origin=shown))
        await interaction.followup.send(here_of(interaction).say("publish.done"))


async def setup(bot: ImagenBot) -> None:
    bot.components.add(PublishButton(Results.of(bot), bot.services.delivery, Showing.of(bot)))
