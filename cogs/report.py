"""🚩 Report: tells the moderators of the server, or else the owners, about a result."""

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.forms import entered, open_form
from bot.chat.here import here_of
from bot.chat.ui.actions import ReportId
from bot.chat.ui.forms.report import REASON, ReportFormId, report_form
from bot.errors import Refused
from bot.store import discord_person
from cogs.results import Results


class Reports:
    """Keeps each person's report of a result once. Who is told of it, see bot.chat.audit."""

    def __init__(self, results: Results) -> None:
        self.results = results

    async def send(self, interaction: Interaction, job_id: str, reason: str) -> None:
        job = await self.results.seen(interaction, job_id)
        reports, reporter = self.results.store.reports, discord_person(interaction.user.id)
        if await reports.made(job.id, reporter):
            raise Refused("report.twice")
        await interaction.response.defer(ephemeral=True, thinking=True)
        # Shown again in another server, it is for the moderators there.
        here = here_of(interaction).place.community
        again = await self.results.shown_again(interaction, job) if here != job.community else []
        shown = next(iter(again), None)
        if not await reports.add(job, reporter, reason, shown):  # forms can be sent at once
            raise Refused("report.twice")
        await interaction.followup.send(here_of(interaction).say("report.done"))


class ReportButton(Component[ReportId]):
    ids = ReportId

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    async def check(self, interaction: Interaction, custom_id: ReportId) -> None:
        self._reports.results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: ReportId) -> None:
        job = await self._reports.results.seen(interaction, custom_id.job_id)
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
    reports = Reports(Results.of(bot))
    bot.components.add(ReportButton(reports), ReportForm(reports))
