"""📤 Show here: one of one's own results, in the channel where one is."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.contexts import is_member
from bot.chat.delivery import Delivery, mention
from bot.chat.here import here_of
from bot.chat.ui.history import SendId
from bot.errors import Refused
from bot.store import discord_person
from cogs.places import check_may_repeat
from cogs.results import AskingComponent, Results

Interaction = discord.Interaction[ImagenBot]


class SendButton(AskingComponent[SendId]):
    """For those who could use a command here, and in no direct message."""

    ids = SendId

    def __init__(self, results: Results, delivery: Delivery) -> None:
        super().__init__(results)
        self._delivery = delivery

    async def use(self, interaction: Interaction, custom_id: SendId) -> None:
        job = await self._results.shown(interaction, custom_id.job_id)
        if job.person != discord_person(interaction.user.id):
            raise Refused("action.gone")
        if not is_member(interaction) or interaction.channel_id is None:
            raise Refused("history.no_channel")
        here = here_of(interaction)
        check_may_repeat(job, self._results.catalog.current, nsfw=here.nsfw)
        await interaction.response.defer(ephemeral=True, thinking=True)
        say = self._results.say_in(str(interaction.guild_locale or interaction.locale))
        heading = say("history.sent", user=mention(interaction.user.id))
        nonce = f"{job.id}-{str(interaction.id)[-14:]}"
        await self._delivery.afterwards.send_again(
            job, interaction.channel_id, heading, say, nonce=nonce
        )
        await interaction.followup.send(here.say("publish.done"))
