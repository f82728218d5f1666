"""Reactions on a result: 🔁 generates it again with the same seed, 🎲 with a new one."""

import logging

import aiohttp
import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import Delivery, mention, only
from bot.chat.errors import sentence
from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.errors import StoreError, UserError
from bot.queue import JobQueue
from bot.request import GenerationRequest, check_offered, draw_seed
from bot.store import Discord, Job, JobState, NewJob, Store, discord_person
from bot.texts.language import Texts
from catalog import LiveCatalog
from cogs.places import age_restricted, roles_of

log = logging.getLogger(__name__)

CANNOT_TELL = (discord.HTTPException, aiohttp.ClientError, OSError)
REFUSAL_SHOWN = 30.0
"""Seconds before a refusal is deleted from the channel: after a reaction it cannot be private."""


class Reroll(commands.Cog):
    """Finds the job by its result message in the store, so this also works after a restart."""

    def __init__(
        self,
        bot: ImagenBot,
        texts: Texts,
        catalog: LiveCatalog,
        store: Store,
        queue: JobQueue,
        delivery: Delivery,
    ) -> None:
        self._bot = bot
        self._texts = texts
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._delivery = delivery

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        if (
            payload.emoji.name not in (SAME_SEED, NEW_SEED)
            or payload.guild_id is None
            or self._by_a_bot(payload)
            or self._queue.blocks(discord_person(payload.user_id))
        ):
            return
        job = await self._store.messages.job_of(payload.message_id)
        if job is None:
            await self._delivery.settled()
            job = await self._store.messages.job_of(payload.message_id)
        # Users are quick: a result is visible a moment before the store says *delivered*.
        if job is None or job.state not in (JobState.DONE, JobState.DELIVERED):
            return
        try:
            await self._paint_again(job, payload)
        except (UserError, StoreError) as error:
            await self._refuse(job, payload, error)
        except CANNOT_TELL as error:
            log.warning("job %s: cannot reroll: %s", job.id, type(error).__name__)

    async def _paint_again(self, job: Job, payload: discord.RawReactionActionEvent) -> None:
        roles = roles_of(payload.member)
        self._queue.screen(discord_person(payload.user_id), roles)
        same = payload.emoji.name == SAME_SEED
        guild = self._bot.get_guild(payload.guild_id or 0)
        channel = guild and guild.get_channel_or_thread(payload.channel_id)
        check_offered(job.request, self._catalog.current, nsfw=age_restricted(channel))
        shown = Discord.of(job.origin)
        new = NewJob(
            request=_repeated(job) if same else job.request.with_seed(draw_seed()),
            origin=Discord(
                user_id=payload.user_id,
                guild_id=payload.guild_id,
                channel_id=payload.channel_id,
                reply_to=payload.message_id,
                locale=shown.locale,
                upload_limit=guild.filesize_limit if guild else shown.upload_limit,
            ),
            kind="reroll" if same else "vary",
            roles=roles,
            parent_id=job.id,
        )
        async with self._queue.accepting(new) as ticket:
            await self._delivery.acknowledge_in_channel(ticket, self._message(payload))

    async def _refuse(
        self, job: Job, payload: discord.RawReactionActionEvent, error: UserError | StoreError
    ) -> None:
        text = sentence(error, self._texts.speaker(Discord.of(job.origin).locale))
        try:
            await self._message(payload).channel.send(
                f"{mention(payload.user_id)} {text}",
                allowed_mentions=only(payload.user_id),
                delete_after=REFUSAL_SHOWN,
            )
        except CANNOT_TELL as failure:
            log.info("job %s: cannot show the refusal: %s", job.id, type(failure).__name__)

    def _message(self, payload: discord.RawReactionActionEvent) -> discord.PartialMessage:
        channel = self._bot.get_partial_messageable(payload.channel_id, guild_id=payload.guild_id)
        return channel.get_partial_message(payload.message_id)

    def _by_a_bot(self, payload: discord.RawReactionActionEvent) -> bool:
        own = self._bot.user is not None and payload.user_id == self._bot.user.id
        return own or (payload.member is not None and payload.member.bot)


def _repeated(job: Job) -> GenerationRequest:
    """The request of `job` with the same kernels, since others round differently."""
    kernels = job.recipe.environment.get("kernels") if job.recipe else None
    return job.request.with_kernels(kernels)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        Reroll(
            bot,
            services.texts,
            backend.catalog,
            backend.store,
            backend.queue,
            services.delivery,
        )
    )
