"""The button below a job that ran out of GPU memory: try again with less."""

from collections.abc import Callable

import discord

from bot.chat.client import ImagenBot
from bot.chat.components import Component
from bot.chat.delivery import Delivery
from bot.chat.ui.buttons import RetryId
from bot.errors import Refused
from bot.queue import JobQueue
from bot.request import check_offered, lighter
from bot.store import Asked, NewJob, Store
from catalog import Catalog
from cogs.places import age_restricted, roles_of

Interaction = discord.Interaction[ImagenBot]


class RetryButton(Component[RetryId]):
    """Queues the failed request again, with less of what needs memory, for its author only."""

    ids = RetryId

    def __init__(
        self, catalog: Callable[[], Catalog], store: Store, queue: JobQueue, delivery: Delivery
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._delivery = delivery

    async def check(self, interaction: Interaction, custom_id: RetryId) -> None:
        job = await self._store.find(custom_id.job_id)
        if job is not None and job.user_id != interaction.user.id:
            raise Refused("lighter.foreign")

    async def use(self, interaction: Interaction, custom_id: RetryId) -> None:
        job = await self._store.find(custom_id.job_id)
        request = lighter(job.request) if job else None
        if job is None or request is None:
            raise Refused("lighter.gone")
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
    bot.components.add(
        RetryButton(lambda: studio.catalog.current, studio.store, studio.queue, bot.delivery)
    )
