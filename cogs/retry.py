"""The button below a job that ran out of GPU memory: retry with lower memory needs."""

import discord
from discord import app_commands

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.delivery import Delivery
from bot.chat.places import age_restricted, may_ask
from bot.chat.ui.buttons import RetryId
from bot.errors import Refused
from bot.queue import JobQueue
from bot.request import check_offered, lighter
from bot.store import Discord, Store, discord_person
from catalog import LiveCatalog
from cogs.places import asked_by, check_may_repeat, postponing, roles_of

Interaction = discord.Interaction[ImagenBot]


class RetryButton(Component[RetryId]):
    """Queues the failed request again with lower memory needs, for its author only."""

    ids = RetryId

    def __init__(
        self, catalog: LiveCatalog, store: Store, queue: JobQueue, delivery: Delivery
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._delivery = delivery

    async def check(self, interaction: Interaction, custom_id: RetryId) -> None:
        self._queue.screen(discord_person(interaction.user.id), roles_of(interaction.user))
        # Discord lets everyone who sees a button press it.
        if not may_ask(interaction.channel, interaction.permissions):
            raise app_commands.MissingPermissions(["send_messages", "use_application_commands"])
        job = await self._store.find(custom_id.job_id)
        if job is not None and job.person != discord_person(interaction.user.id):
            raise Refused("lighter.foreign")

    async def use(self, interaction: Interaction, custom_id: RetryId) -> None:
        job = await self._store.find(custom_id.job_id)
        names = job.request.names if job else ()
        catalog = await self._catalog.knowing(*names)
        request = lighter(job.request, catalog.family_of(job.request.model)) if job else None
        if job is None or request is None:
            raise Refused("lighter.gone")
        nsfw = age_restricted(interaction.channel)
        check_may_repeat(job, catalog, nsfw=nsfw)
        check_offered(request, catalog, nsfw=nsfw)
        hidden = Discord.of(job.origin).hidden
        new = asked_by(interaction, request, parent=job, hidden=hidden, warnings=job.warnings)
        postpone = postponing(interaction, self._delivery, hidden=hidden)
        async with self._queue.accepting(new, postpone) as ticket:
            await self._delivery.acknowledge(interaction, ticket)


async def setup(bot: ImagenBot) -> None:
    backend = bot.services.backend
    bot.components.add(
        RetryButton(backend.catalog, backend.store, backend.queue, bot.services.delivery)
    )
