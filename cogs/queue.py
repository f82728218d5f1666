"""/queue, /cancel and the Cancel button, /pause and /resume."""

from collections.abc import Callable
from functools import partial

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.here import here_of
from bot.chat.owners import NotOwner
from bot.chat.ui.admin import may_be_named
from bot.chat.ui.buttons import CancelId
from bot.chat.ui.lanes import LaneView
from bot.chat.ui.queue import job_choices, queue_embed
from bot.errors import Refused
from bot.queue import JobQueue
from bot.request import is_gated
from bot.store import Discord, Job, JobState, Store, discord_person
from bot.worker.workers import Workers
from catalog import LiveCatalog
from cogs.places import can_see, moderates


class Queue(commands.Cog):
    """Shows the queue privately; lets people cancel their own jobs, and moderators any."""

    def __init__(
        self, catalog: LiveCatalog, store: Store, queue: JobQueue, workers: Workers
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._workers = workers

    @app_commands.command(description="command.queue.description")
    async def queue(self, interaction: Interaction) -> None:
        embed = queue_embed(
            here_of(interaction).say,
            await self._queue.standings(),
            running={job.id for job in self._queue.running},
            user_id=interaction.user.id,
            sees=partial(can_see, interaction),
            gated=self._gated(interaction),
            withheld=self._withheld(interaction),
            nsfw=here_of(interaction).nsfw,
            paused=self._queue.still.paused,
            resumes_at=self._queue.still.resumes_at,
            lanes=self._lanes(interaction),
        )
        await interaction.response.send_message(embed=embed, ephemeral=True)

    @app_commands.command(description="command.cancel.description")
    @app_commands.describe(job="command.cancel.job")
    async def cancel(self, interaction: Interaction, job: str | None = None) -> None:
        job_id = await self._only_one(interaction) if job is None else job
        await self.check_may_cancel(interaction, job_id)
        await self.cancel_job(interaction, job_id)

    @cancel.autocomplete("job")
    async def _complete_job(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        return job_choices(
            text,
            here_of(interaction).say,
            await self._queue.standings(),
            user_id=interaction.user.id,
            moderates=partial(moderates, interaction),
            gated=self._gated(interaction),
            withheld=self._withheld(interaction),
            nsfw=here_of(interaction).nsfw,
        )

    @app_commands.command(description="command.pause.description")
    @app_commands.default_permissions(administrator=True)
    async def pause(self, interaction: Interaction) -> None:
        await _check_owner(interaction)
        await self._workers.pause()
        say = here_of(interaction).say
        await interaction.response.send_message(say("pause.done"), ephemeral=True)

    @app_commands.command(description="command.resume.description")
    @app_commands.default_permissions(administrator=True)
    async def resume(self, interaction: Interaction) -> None:
        await _check_owner(interaction)
        await self._workers.unpause()
        waiting = len(self._queue) - len(self._queue.running)
        say = here_of(interaction).say
        await interaction.response.send_message(say("resume.done", count=waiting), ephemeral=True)

    def _lanes(self, interaction: Interaction) -> list[LaneView]:
        """Every lane, with the name of its model where that may stand here."""
        here = here_of(interaction)
        catalog, nsfw = here.offered(self._catalog.current), here.nsfw

        def shown(model: str | None) -> str | None:
            named = model is not None and may_be_named(catalog, "model", model, nsfw=nsfw)
            return model if named else None

        return [LaneView.of(lane, shown(lane.in_place.model)) for lane in self._queue.lanes]

    def _gated(self, interaction: Interaction) -> Callable[[Job], bool]:
        """Whether what a job uses may not be named in the channel of `interaction`."""
        if here_of(interaction).nsfw:
            return lambda job: False
        return lambda job: is_gated(job.request, self._catalog.current)

    def _withheld(self, interaction: Interaction) -> Callable[[Job], bool]:
        """Whether a job's model may not be used in the place of `interaction`."""
        known = self._catalog.current
        offered = here_of(interaction).offered(known)
        withheld = known.models.keys() - offered.models.keys()
        return lambda job: job.request.model in withheld

    async def _only_one(self, interaction: Interaction) -> str:
        """The id of the user's only job. Raises Refused if there are none or several."""
        line, person = await self._queue.standings(), discord_person(interaction.user.id)
        own = [ticket.job.id for ticket in line if ticket.job.person == person]
        if not own:
            raise Refused("cancel.none")
        if len(own) > 1:
            raise Refused("cancel.which", count=len(own))
        return own[0]

    async def check_may_cancel(self, interaction: Interaction, job_id: str) -> None:
        """Raise Refused if there is no such job or the user may not cancel it.

        For someone who does not see where it was asked, there is no such job.
        """
        job = await self._store.find(job_id)
        asked = job.origin if job is not None else None
        if not isinstance(asked, Discord):
            raise Refused("cancel.unknown", value=job_id)
        if asked.user_id == interaction.user.id or moderates(interaction, asked):
            return
        if not can_see(interaction, asked):
            raise Refused("cancel.unknown", value=job_id)
        raise Refused("cancel.foreign", user=asked.user_id)

    async def cancel_job(self, interaction: Interaction, job_id: str) -> None:
        """Cancel the job and answer. Raises Refused if it has already ended."""
        left = await self._workers.withdraw(job_id)
        if left is None:
            raise Refused("cancel.ended")
        say = here_of(interaction).say
        told = say("cancel.stopping" if left.state is JobState.RUNNING else "cancel.done")
        await interaction.response.send_message(
            told, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )


class CancelButton(Component[CancelId]):
    """The button below every queued or running job: `/cancel` for that job."""

    ids = CancelId

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def check(self, interaction: Interaction, custom_id: CancelId) -> None:
        await self._queue.check_may_cancel(interaction, custom_id.job_id)

    async def use(self, interaction: Interaction, custom_id: CancelId) -> None:
        await self._queue.cancel_job(interaction, custom_id.job_id)


async def _check_owner(interaction: Interaction) -> None:
    """Raise NotOwner unless the user owns the bot or administers its only server.

    Servers can grant a command to anyone, so its default permission is not enough. All servers
    share one queue, so an administrator of one of several may not stop it. Until every shard is
    connected, there may be more than are known.
    """
    bot = interaction.client
    only_one = bot.knows_its_servers and len(bot.guilds) == 1
    alone = only_one and interaction.permissions.administrator
    if alone or await bot.services.owners.include(interaction.user.id):
        return
    raise NotOwner


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    cog = Queue(backend.catalog, backend.store, backend.queue, services.workers)
    await bot.add_cog(cog)
    bot.components.add(CancelButton(cog))
