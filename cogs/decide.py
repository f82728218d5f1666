"""Deciding a report, by the buttons below it: delete the image, block its person, or dismiss it."""

from discord import app_commands

from bot.chat.audit import Audit
from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.chat.owners import Owners
from bot.chat.ui.acts import DecideId, person, report_text, report_view
from bot.errors import Refused
from bot.store import (
    EVERYWHERE,
    Decision,
    Discord,
    Job,
    JobState,
    Report,
    Store,
    discord_person,
)
from bot.worker.blocking import Blocking
from cogs.blockable import check_may_be_blocked
from cogs.delete import Deleting, deleting_of
from cogs.places import lacks_thread, moderates, moderates_server


class Deciding(Component[DecideId]):
    """For those who may delete other people's messages where the image is, in their server, and for
    the owners everywhere."""

    ids = DecideId

    def __init__(
        self,
        store: Store,
        owners: Owners,
        audit: Audit,
        delivery: Delivery,
        blocking: Blocking,
        deleting: Deleting,
    ) -> None:
        self._store = store
        self._owners = owners
        self._audit = audit
        self._delivery = delivery
        self._blocking = blocking
        self._deleting = deleting

    async def use(self, interaction: Interaction, custom_id: DecideId) -> None:
        report = await self._store.reports.find(custom_id.report_id)
        job = await self._store.find(report.job_id) if report else None
        if report is None or job is None:
            raise Refused("report.gone")
        again = await self._deleting.results.shown_again(interaction, job)
        there = job.community == here_of(interaction).place.community
        shown_at = None if there else next(iter(again), None)
        within, channels = await self._within(interaction, job, custom_id.decision)
        await interaction.response.defer()
        won = await self._decide(interaction, report, job, custom_id.decision, within, channels)
        decided = await self._store.reports.find(report.id) or report
        say = await self._audit.say_in(interaction.guild if within else None)
        text = report_text(say, decided, job, shown_at)
        await interaction.edit_original_response(content=text, view=report_view(say, decided))
        if not won:
            by = person(say, decided.decided_by or "")
            raise Refused(f"report.late.{decided.decision}", user=by)

    async def _decide(
        self,
        interaction: Interaction,
        report: Report,
        job: Job,
        decision: Decision,
        within: str,
        channels: frozenset[int],
    ) -> bool:
        """Returns False if someone was faster. channels: see _within."""
        if decision is Decision.DELETED and not channels and job.state is JobState.DONE:
            # Users are quick: it may not be recorded yet that the result was delivered.
            await self._delivery.settled()
            if (await self._store.job(job.id)).state is JobState.DONE:
                raise Refused("action.none")
        if decision is Decision.BLOCKED:
            guild = None if within == EVERYWHERE else interaction.guild
            user_id = Discord.of(job.origin).user_id
            await check_may_be_blocked(interaction, self._owners, user_id, within=guild)
        actor = discord_person(interaction.user.id)
        if not await self._store.reports.decide(
            report, job, decision, actor=actor, within=within, channels=channels
        ):
            return False
        if decision is Decision.DELETED:
            if channels:
                await self._delivery.afterwards.take_down_again(job, channels)
            else:
                await self._deleting.finish(job, interaction.user.id)
        elif decision is Decision.BLOCKED:
            await self._blocking.enforce()
        return True

    async def _within(
        self, interaction: Interaction, job: Job, decision: Decision
    ) -> tuple[str, frozenset[int]]:
        """Where a block by this person holds; and the channels that they moderate in which it is
        shown again, if they may only take it down there. Raises MissingPermissions or Refused."""
        origin = Discord.of(job.origin)
        there = moderates(interaction, origin)
        channels = frozenset[int]()
        if not there and await self._owners.include(interaction.user.id):
            return EVERYWHERE, channels
        if not there:
            channels = await self._deleting.moderated(interaction, job)
        if not there and not channels and lacks_thread(interaction, origin):
            raise Refused("report.thread")
        if not there and not channels:
            raise app_commands.MissingPermissions(["manage_messages"])
        if decision is Decision.BLOCKED and not moderates_server(interaction):
            raise Refused("moderate.server_only")
        community = job.community if there else here_of(interaction).place.community
        return community or EVERYWHERE, channels


async def setup(bot: ImagenBot) -> None:
    services = bot.services
    bot.components.add(
        Deciding(
            services.backend.store,
            services.owners,
            services.audit,
            services.delivery,
            services.blocking,
            deleting_of(bot),
        )
    )
