"""📤 Show here: one of one's own results, in the channel where one is."""

from dataclasses import replace

import discord

from bot.chat.client import ImagenBot
from bot.chat.contexts import is_member
from bot.chat.delivery import Delivery, mention
from bot.chat.here import here_of
from bot.chat.ui.history import SendId
from bot.errors import Refused
from bot.levels import Level, Rules
from bot.store import Discord, discord_person
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
        here, origin = here_of(interaction), Discord.of(job.origin)
        check_showable(here.rules, origin, nsfw=here.nsfw)
        if not here.nsfw:
            await self._delivery.afterwards.check_elsewhere(job)
        await interaction.response.defer(ephemeral=True, thinking=True)
        say = self._results.say_in(str(interaction.guild_locale or interaction.locale))
        heading = say("history.sent", user=mention(interaction.user.id))
        nonce = f"{job.id}-{str(interaction.id)[-14:]}"
        spoiler = origin.spoiler or here.rules.forced_spoiler
        shown = replace(job, origin=replace(origin, spoiler=spoiler))
        await self._delivery.afterwards.send_again(
            shown, interaction.channel_id, heading, say, nonce=nonce
        )
        await interaction.followup.send(here.say("publish.done"))


def check_showable(rules: Rules, origin: Discord, *, nsfw: bool) -> None:
    """Raise Refused if what was asked for at `origin` may not be shown where these rules hold.

    nsfw: whether that is an age-restricted channel.
    """
    if origin.withheld:
        raise Refused("publish.withheld")
    if not rules.paint:
        raise Refused(f"levels.no_painting.{rules.source('paint') or Level.SERVER}")
    unchecked = origin.image_check == "off"
    if unchecked and not nsfw and rules.image_check != "off":
        raise Refused("history.unchecked")
