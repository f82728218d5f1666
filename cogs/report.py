"""🚩 Report: tells the owner, or the channel that they chose, about a result."""

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.delivery import Delivery, mention
from bot.chat.forms import entered, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import ReportId
from bot.chat.ui.forms import REASON, ReportFormId, report_form
from bot.chat.ui.markdown import shown
from bot.errors import Refused
from bot.store import Discord, Job
from cogs.results import Results

Interaction = discord.Interaction[ImagenBot]

REMEMBERED = 10_000
"""Reports that are remembered, so that none is sent twice."""


class Reports:
    """Sends each person's report of a result once."""

    def __init__(self, results: Results, delivery: Delivery, channel_id: int | None) -> None:
        self.results = results
        self._delivery = delivery
        self._channel_id = channel_id
        self._sent: dict[tuple[str, int], None] = {}

    async def send(self, interaction: Interaction, job_id: str, reason: str) -> None:
        job = await self.results.shown(interaction, job_id)
        key = (job.id, interaction.user.id)
        if key in self._sent:
            raise Refused("report.twice")
        self._sent[key] = None  # before anything is waited for: forms can be sent at once
        try:
            await interaction.response.defer(ephemeral=True, thinking=True)
            await self._tell(interaction, job, reason)
        except BaseException:
            self._sent.pop(key, None)
            raise
        if len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]
        await interaction.followup.send(here_of(interaction).say("report.done"))

    async def _tell(self, interaction: Interaction, job: Job, reason: str) -> None:
        origin = Discord.of(job.origin)
        place = f"https://discord.com/channels/{origin.guild_id or '@me'}/{origin.channel_id}"
        text = self.results.say_in("en-US")(
            "report.text",
            user=mention(interaction.user.id),
            owner=mention(origin.user_id),
            job=job.id,
            link=f"{place}/{origin.message_id}" if origin.message_id else place,
            reason=shown(reason, 1_500),
        )
        if not await self._delivery.afterwards.report(self._channel_id, text):
            raise Refused("report.failed")


class ReportButton(Component[ReportId]):
    ids = ReportId

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def check(self, interaction: Interaction, custom_id: ReportId) -> None:
        self._reports.results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: ReportId) -> None:
        job = await self._reports.results.shown(interaction, custom_id.job_id)
        say = here_of(interaction).say
        await open_form(interaction, report_form(say, ReportFormId(job.id)))


class ReportForm(Component[ReportFormId]):
    ids = ReportFormId

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def check(self, interaction: Interaction, custom_id: ReportFormId) -> None:
        self._reports.results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: ReportFormId) -> None:
        reason = entered(interaction).get(REASON, "").strip()
        await self._reports.send(interaction, custom_id.job_id, reason)


async def setup(bot: ImagenBot) -> None:
    channel_id = bot.services.backend.settings.report_channel
    reports = Reports(Results.of(bot), bot.services.delivery, channel_id)
    bot.components.add(ReportButton(reports))
    bot.components.add(ReportForm(reports))
