"""The button below a job that the memory did not suffice for: paint it lighter."""

from collections.abc import Callable

import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import Delivery
from bot.chat.tree import guarded
from bot.errors import Refused
from bot.queue import JobQueue
from bot.request import check_offered, lighter
from bot.store import Asked, NewJob, Store
from catalog import Catalog
from cogs.places import age_restricted, roles_of

Interaction = discord.Interaction[ImagenBot]


class Lighter(commands.Cog):
    """Asks again for what failed, with less of what needs memory, for whoever asked first."""

    def __init__(
        self, catalog: Callable[[], Catalog], store: Store, queue: JobQueue, delivery: Delivery
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
        if job.user_id != interaction.user.id:
            raise Refused("lighter.foreign")
        nsfw = age_restricted(interaction.channel)
        check_offered(request, self._catalog(), nsfw=nsfw)
        ticket = await self._queue.accept(
            NewJob(
                request=request,
                origin="discord",
                user_id=interaction.user.id,
                guild_id=interaction.guild_id,
                roles=roles_of(interaction.user),
                channel_id=interaction.channel_id,
                parent_id=job.id,
                locale=str(interaction.locale),
                upload_limit=interaction.filesize_limit,
                asked=Asked(interaction.id, interaction.token),
            )
        )
        try:
            await self._delivery.acknowledge(interaction, ticket)
        except Exception:
            await self._queue.abandon(ticket)
            raise
        self._queue.release(ticket.job.id)


async def setup(bot: ImagenBot) -> None:
    studio = bot.studio
    await bot.add_cog(
        Lighter(lambda: studio.catalog.current, studio.store, studio.queue, bot.delivery)
    )
