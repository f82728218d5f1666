"""Reactions on a result: 🔁 generates it again with the same seed, 🎲 with a new one."""

import logging
from dataclasses import replace
from typing import Any

import aiohttp
import discord
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.contexts import Context, Contexts
from bot.chat.delivery import Delivery
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.sender import NO_WAY
from bot.chat.errors import sentence
from bot.chat.here import FindHere, parent_of, place_in
from bot.chat.places import age_restricted, may_ask, may_write, permissions_in
from bot.chat.reactions import ReactionsPresent
from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.errors import Refused, StoreError, UserError
from bot.progress import Notice
from bot.queue import JobQueue
from bot.request import check_offered
from bot.store import Discord, Job, JobState, NewJob, Store, discord_community, discord_person
from bot.texts.language import Texts
from catalog import LiveCatalog
from cogs.places import check_may_repeat, roles_of
from cogs.repeating import at_most, count_max, repeated

log = logging.getLogger(__name__)

CANNOT_TELL = (discord.HTTPException, aiohttp.ClientError, OSError)
NOT_THIS_MESSAGE = (Refusal.BLOCKED, Refusal.UNKNOWN, Refusal.REJECTED)
"""Refusals of an acknowledgement after which the channel may still take another message."""


class Reroll(commands.Cog):
    """Finds the job by its result message in the store, so this also works after a restart."""

    def __init__(
        self,
        bot: ImagenBot,
        texts: Texts,
        find_here: FindHere,
        contexts: Contexts,
        catalog: LiveCatalog,
        store: Store,
        queue: JobQueue,
        delivery: Delivery,
    ) -> None:
        self._bot = bot
        self._texts = texts
        self._find_here = find_here
        self._contexts = contexts
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._delivery = delivery
        self._present = ReactionsPresent()

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        if not self._is_request(payload):
            return
        if not self._present.add(payload):
            log.warning("reaction to message %d received again; dropped", payload.message_id)
            return
        job = await self._result(payload.message_id)
        if job is None or Discord.of(job.origin).channel_id != payload.channel_id:
            self._present.remove(payload)
            return
        asked = self._asked(job, payload)
        try:
            await self._paint_again(job, asked, payload)
        except (UserError, StoreError) as error:
            text = sentence(error, self._texts.speaker(asked.locale))
            await self._delivery.refuse(asked, text or "")
        except CANNOT_TELL as error:
            log.warning("job %s: cannot reroll: %s", job.id, short(error))
            if (meaning := refusal(error)) in NOT_THIS_MESSAGE:
                text = self._texts.speaker(asked.locale)(NO_WAY[meaning])
                await self._delivery.refuse(asked, text)

    @commands.Cog.listener()
    async def on_raw_reaction_remove(self, payload: discord.RawReactionActionEvent) -> None:
        self._present.remove(payload)

    @commands.Cog.listener()
    async def on_raw_reaction_clear(self, payload: discord.RawReactionClearEvent) -> None:
        self._present.clear(payload.message_id)

    @commands.Cog.listener()
    async def on_raw_reaction_clear_emoji(
        self, payload: discord.RawReactionClearEmojiEvent
    ) -> None:
        self._present.clear(payload.message_id, payload.emoji.name)

    def _is_request(self, payload: discord.RawReactionActionEvent) -> bool:
        """Whether this is a reaction that we act on, by someone who may ask in that channel.

        Anyone else gets no answer: they could not ask by a command either, and an answer in the
        channel would cost more than the reaction. Reads only memory.
        """
        if (
            payload.emoji.name not in (SAME_SEED, NEW_SEED)
            or self._by_a_bot(payload)
            or self._is_blocked(payload)
        ):
            return False
        if payload.guild_id is None:
            # Reactions reach the bot only from its own direct messages.
            return self._contexts.offers(Context.DIRECT)
        if payload.member is None:
            return False
        guild = payload.member.guild
        channel = guild.get_channel_or_thread(payload.channel_id)
        # Where we may not write, each attempt counts towards Discord's limit of invalid requests.
        return may_ask(channel, permissions_in(channel, payload.member)) and may_write(
            channel, permissions_in(channel, guild.me)
        )

    async def _result(self, message_id: int) -> Job | None:
        """The job whose result the message shows."""
        job = await self._store.messages.job_of(message_id)
        if job is None:
            await self._delivery.settled()
            job = await self._store.messages.job_of(message_id)
        # Users are quick: a result is visible a moment before the store says *delivered*.
        if job is None or job.deleted_at is not None:
            return None
        return job if job.state in (JobState.DONE, JobState.DELIVERED) else None

    def _asked(self, job: Job, payload: discord.RawReactionActionEvent) -> Discord:
        shown = Discord.of(job.origin)
        guild = self._bot.get_guild(payload.guild_id or 0)
        return Discord(
            user_id=payload.user_id,
            guild_id=payload.guild_id,
            channel_id=payload.channel_id,
            reply_to=payload.message_id,
            locale=shown.locale,
            upload_limit=guild.filesize_limit if guild else shown.upload_limit,
            age_restricted=age_restricted(self._channel(payload)),
            spoiler=shown.spoiler,
            parent_channel_id=parent_of(self._channel(payload)),
        )

    async def _paint_again(
        self, job: Job, asked: Discord, payload: discord.RawReactionActionEvent
    ) -> None:
        if payload.guild_id is None:
            roles = await self._find_here.roles_of(payload.user_id)
        else:
            roles = roles_of(payload.member)
        place = place_in(self._channel(payload), asked, roles)
        self._queue.screen(place.person, roles, place.community)
        here = await self._find_here.at(place, asked.locale, nsfw=asked.age_restricted)
        if here.rules.buttons == "requester" and job.person != asked.person:
            raise Refused("action.foreign", user=Discord.of(job.origin).user_id)
        catalog = here.offered(await self._catalog.knowing(*job.request.names))
        check_may_repeat(job, self._catalog.current, nsfw=here.nsfw)
        check_offered(job.request, catalog, nsfw=here.nsfw)
        request, kind = repeated(
            job,
            catalog,
            nsfw=here.nsfw,
            same_seed=payload.emoji.name == SAME_SEED,
        )
        notes: tuple[Notice, ...] = ()
        if payload.emoji.name == NEW_SEED:
            request, notes = at_most(await count_max(self._queue, place, here.rules), request)
        new = NewJob(
            request=request,
            origin=replace(
                asked,
                locale=here.locale_of(hidden=False),
                spoiler=asked.spoiler or here.rules.spoiler,
            ),
            kind=kind,
            roles=roles,
            parent_id=job.id,
            warnings=notes,
        )
        # No refusal goes ahead of its acknowledgement, although that takes longer to be due.
        with self._delivery.traffic.to(payload.channel_id):
            async with self._queue.accepting(new) as ticket:
                await self._delivery.acknowledge_in_channel(ticket)

    def _is_blocked(self, payload: discord.RawReactionActionEvent) -> bool:
        guild_id = payload.guild_id
        community = None if guild_id is None else discord_community(guild_id)
        try:
            self._queue.check_not_blocked(discord_person(payload.user_id), community)
        except Refused:
            return True
        return False

    def _channel(self, payload: discord.RawReactionActionEvent) -> Any:
        """None if it is not known."""
        guild = self._bot.get_guild(payload.guild_id or 0)
        return guild and guild.get_channel_or_thread(payload.channel_id)

    def _by_a_bot(self, payload: discord.RawReactionActionEvent) -> bool:
        own = self._bot.user is not None and payload.user_id == self._bot.user.id
        return own or (payload.member is not None and payload.member.bot)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        Reroll(
            bot,
            services.texts,
            services.find_here,
            services.contexts,
            backend.catalog,
            backend.store,
            backend.queue,
            services.delivery,
        )
    )
