"""⭐ Keep: a button and a reaction that make a result a favourite of whoever uses it."""

import logging

import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.chat.ui.actions import KeepId
from bot.chat.ui.reactions import KEEP
from bot.errors import StoreError
from bot.store import Discord, Job, JobState, discord_community, discord_person
from cogs.results import Results

log = logging.getLogger(__name__)

Interaction = discord.Interaction[ImagenBot]


class KeepButton(Component[KeepId]):
    """Keeps it, or no more."""

    ids = KeepId

    def __init__(self, results: Results) -> None:
        self._results = results

    async def check(self, interaction: Interaction, custom_id: KeepId) -> None:
        self._results.check_not_blocked(interaction)

    async def use(self, interaction: Interaction, custom_id: KeepId) -> None:
        job = await self._results.seen(interaction, custom_id.job_id)
        person, favourites = discord_person(interaction.user.id), self._results.store.favourites
        kept = not await favourites.drop(person, job.id)
        if kept:
            await favourites.keep(person, job.id)
        text = here_of(interaction).say("keep.kept" if kept else "keep.dropped")
        await interaction.response.send_message(text, ephemeral=True)


class Keep(commands.Cog):
    """The reaction. It is not answered: it shows by itself that it is there.

    One that comes again changes nothing, so none has to be remembered.
    """

    def __init__(self, bot: ImagenBot, results: Results, delivery: Delivery) -> None:
        self._bot = bot
        self._results = results
        self._delivery = delivery

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        if payload.emoji.name == KEEP and (job := await self._job(payload)) is not None:
            await self._record(payload, job, kept=True)

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        if payload.emoji.name == KEEP and (job := await self._job(payload)) is not None:
            await self._record(payload, job, kept=False)

    async def _record(
        self, payload: discord.RawReactionActionEvent, job: Job, *, kept: bool
    ) -> None:
        person, favourites = discord_person(payload.user_id), self._results.store.favourites
        try:
            await (favourites.keep if kept else favourites.drop)(person, job.id)
        except StoreError as error:
            log.error("job %s: a favourite was not recorded: %s", job.id, error)

    async def _job(self, payload: discord.RawReactionActionEvent) -> Job | None:
        """The result that the message shows, if this person may keep it."""
        own = self._bot.user is not None and payload.user_id == self._bot.user.id
        if own or (payload.member is not None and payload.member.bot):
            return None
        try:
            job = await self._shown_by(payload.message_id)
            if job is None:
                await self._delivery.settled()
                job = await self._shown_by(payload.message_id)
        except StoreError as error:
            log.error("message %d: a favourite was not recorded: %s", payload.message_id, error)
            return None
        if job is None or job.deleted_at is not None:
            return None
        ended = job.state in (JobState.DONE, JobState.DELIVERED)
        return job if ended and self._may(payload, job) else None

    async def _shown_by(self, message_id: int) -> Job | None:
        store = self._results.store
        if (job := await store.messages.job_of(message_id)) is not None:
            return job
        job_id = await store.sent_again.job_of(message_id)
        return None if job_id is None else await store.find(job_id)

    def _may(self, payload: discord.RawReactionActionEvent, job: Job) -> bool:
        """Whether it is theirs, or they see it in a server: where it was asked for, or where its
        person showed it again."""
        person = discord_person(payload.user_id)
        if not isinstance(job.origin, Discord):
            return False
        community = None if payload.guild_id is None else discord_community(payload.guild_id)
        if self._results.blocks(person, community):
            return False
        if job.person == person:
            return True
        # Whoever puts a reaction on a message sees it.
        return payload.guild_id is not None


async def setup(bot: ImagenBot) -> None:
    results = Results.of(bot)
    bot.components.add(KeepButton(results))
    await bot.add_cog(Keep(bot, results, bot.services.delivery))
