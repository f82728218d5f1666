"""The button below a job that the memory did not suffice for: paint it lighter."""

import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import Delivery
from bot.chat.tree import guarded
from bot.errors import Refused
from bot.queue import JobQueue
from bot.request import check_offered, lighter
from bot.store import Store, discord_person
from catalog import LiveCatalog
from cogs.places import age_restricted, asked_by

Interaction = discord.Interaction[ImagenBot]


class Lighter(commands.Cog):
    """Asks again for what failed, with less of what needs memory, for whoever asked first."""

    def __init__(
        self, catalog: LiveCatalog, store: Store, queue: JobQueue, delivery: Delivery
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._delivery = delivery

    @commands.Cog.listener()
    async def on_lighter_click(self, interaction: Interaction, job_id: str) -> None:
        await guarded(interaction, self._paint(interaction, job_id))

    async def _paint(self, interaction: Interaction, job_id: str) -> None:
        job = await self._store.find(job_id)
        request = lighter(job.request) if job else None
        if job is None or request is None:
            raise Refused("lighter.gone")
        if job.person != discord_person(interaction.user.id):
            raise Refused("lighter.foreign")
        nsfw = age_restricted(interaction.channel)
        check_offered(request, self._catalog.current, nsfw=nsfw)
        async with self._queue.accepting(asked_by(interaction, request, parent=job)) as ticket:
            await self._delivery.acknowledge(interaction, ticket)


async def setup(bot: ImagenBot) -> None:
    backend = bot.services.backend
    await bot.add_cog(Lighter(backend.catalog, backend.store, backend.queue, bot.services.delivery))
