"""Sender: puts content into a job's message, or a new one, through any route Discord accepts."""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import discord

from bot.chat.delivery.lookup import find_message, nonce_of
from bot.chat.delivery.outbox import Away
from bot.chat.delivery.posts import (
    ChannelPost,
    InteractionPost,
    MessageContent,
    Post,
    mention,
    send,
)
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.errors import JobFailed
from bot.store import Discord, InteractionToken, Job, Store, now_ms

log = logging.getLogger(__name__)

NO_WAY = {
    Refusal.FORBIDDEN: "delivery.forbidden",
    Refusal.BLOCKED: "delivery.blocked",
    Refusal.UNKNOWN: "delivery.rejected",
    Refusal.REJECTED: "delivery.rejected",
}
NONCE_KEPT = 60_000
"""Milliseconds for which a nonce reliably prevents a duplicate message; the docs say
"the past few minutes" (resources/message)."""


class TooLarge(Exception):
    """The files exceed Discord's size limit. largest: bytes of the largest."""

    def __init__(self, largest: int) -> None:
        super().__init__(f"a file of {largest} bytes is too large")
        self.largest = largest


@dataclass(frozen=True, slots=True)
class Delivered:
    """The message that shows a result or failure. edited: whether it was there before."""

    channel_id: int
    message_id: int
    edited: bool = False


class Sender:
    """Tries the interaction's response, then the message in its channel, then a new message there,
    then a direct message. Where the bot is not, the first and the last are all there is. Nothing is
    ever sent twice, even if the process dies in between.

    webhook: builds one from an interaction's token.
    """

    def __init__(
        self, client: discord.Client, store: Store, webhook: Callable[[str], discord.Webhook]
    ) -> None:
        self._client = client
        self._store = store
        self._webhook = webhook

    def channel(self, job: Job) -> discord.PartialMessageable:
        """Where `job` was requested. Raises JobFailed when its origin has no channel."""
        origin = Discord.of(job.origin)
        if origin.channel_id is None:
            raise JobFailed("delivery.gone")
        return self._client.get_partial_messageable(origin.channel_id, guild_id=origin.guild_id)

    def interaction_post(self, token: InteractionToken) -> InteractionPost:
        return InteractionPost(self._webhook(token.token), token.good_to)

    async def post(self, job: Job) -> Post | None:
        """How to reach the job's message now; None when its id is unknown."""
        return await self._response(job) or self.channel_post(job)

    async def _response(self, job: Job) -> InteractionPost | None:
        """The response to the interaction that asked for the job, while it can be edited."""
        token = await self._store.messages.token(job.id)
        interaction_id = Discord.of(job.origin).interaction_id
        if token is None or interaction_id is None:
            return None
        return self.interaction_post(InteractionToken(interaction_id, token))

    async def posts(self, job: Job) -> AsyncIterator[Post]:
        """The ways to reach the message of a delivered job, best first.

        The interaction's own response may be another message by now: a hidden result can have been
        published. Raises what discord.py raises.
        """
        if (post := self.channel_post(job)) is not None:
            yield post
        origin = Discord.of(job.origin)
        if origin.withheld != "shown" and (response := await self._response(job)) is not None:
            yield response
        if origin.by_token and origin.message_id is not None:
            channel = await self._client.create_dm(discord.Object(origin.user_id))
            if channel.id == origin.channel_id:
                yield ChannelPost(channel.get_partial_message(origin.message_id))

    def channel_post(self, job: Job) -> ChannelPost | None:
        """The job's message, reached through its channel; None when its id is unknown, or only the
        interaction reaches it."""
        origin = Discord.of(job.origin)
        message_id = origin.message_id
        if message_id is None or origin.by_token:
            return None
        return ChannelPost(self.channel(job).get_partial_message(message_id))

    async def deliver(self, job: Job, content: MessageContent, post: Post | None) -> Delivered:
        """Put `content` into the job's message, or a new one.

        post: how the message was reached while the job ran.
        Raises JobFailed when every route failed, TooLarge when the files must shrink, and Away.
        """
        origin = Discord.of(job.origin)
        if origin.withheld == "shown":
            public = replace(job, origin=replace(origin, hidden=False))
            if content.notice is not None:
                return await self._deliver_withheld(job, public, content, post)
            job = public
        channel = self.channel(job)
        async for way in self._edits(job, post):
            try:
                return Delivered(channel.id, await way.edit(content), edited=True)
            except Exception as error:
                self._classify(job, error, content)
        if Discord.of(job.origin).by_token:
            return await self._deliver_after_token(job, content)
        # Unlike a response to a command, a new message does not show whose it is.
        named = replace(content, text=content.text or mention(Discord.of(job.origin).user_id))
        try:
            return Delivered(channel.id, await self._send_once(channel, job, named))
        except Exception as error:
            meaning = self._classify(job, error, content)
            if meaning is Refusal.BUSY:
                raise Away(short(error)) from error
            if content.direct is not None and meaning is not Refusal.REJECTED:
                try:
                    return await self._send_direct(job, content)
                except Exception as second:
                    self._classify(job, second, content)
            raise JobFailed(NO_WAY.get(meaning, "delivery.gone")) from error

    async def _deliver_after_token(self, job: Job, content: MessageContent) -> Delivered:
        """As a direct message: there is no other way to what was hidden, or asked for where the bot
        is not."""
        kept = "delivery.hidden" if Discord.of(job.origin).hidden else "delivery.where.kept"
        if content.direct is None:
            raise JobFailed(kept)
        try:
            return await self._send_direct(job, content)
        except Exception as error:
            self._classify(job, error, content)
            raise JobFailed(kept) from error

    async def _deliver_withheld(
        self, job: Job, public: Job, content: MessageContent, post: Post | None
    ) -> Delivered:
        """To its person alone, and `content.notice` to those who saw its message until now.

        public: the job as it was then.
        """
        if content.direct is None:
            raise JobFailed("delivery.withheld")
        try:
            delivered = await self._send_direct(job, content)
        except Exception as error:
            self._classify(job, error, content)
            raise JobFailed("delivery.withheld") from error
        async for way in self._edits(public, post):
            try:
                await way.edit(MessageContent(text=content.notice))
                break
            except Exception as error:
                self._classify(job, error)
        return delivered

    async def _edits(self, job: Job, post: Post | None) -> AsyncIterator[Post]:
        """The routes to the existing message, best first."""
        if isinstance(post, InteractionPost) and post.alive:
            yield post
        elif isinstance(stored := await self.post(job), InteractionPost):
            yield stored
        if (edit := self.channel_post(job)) is not None:
            yield edit
        elif Discord.of(job.origin).by_token:
            return
        elif (found := await self._find(self.channel(job), job, job.created_at)) is not None:
            # Its acknowledgement arrived, but the process died before recording it.
            yield ChannelPost(self.channel(job).get_partial_message(found))

    async def _send_direct(self, job: Job, content: MessageContent) -> Delivered:
        channel = await self._client.create_dm(discord.Object(Discord.of(job.origin).user_id))
        message_id = await self._send_once(channel, job, content.directly(), reply=False)
        log.info("job %s: sent as a direct message", job.id)
        return Delivered(channel.id, message_id)

    async def _send_once(
        self,
        channel: discord.PartialMessageable | discord.DMChannel,
        job: Job,
        content: MessageContent,
        *,
        reply: bool = True,
    ) -> int:
        """Send a new message, or edit it if an earlier attempt sent it; returns its id."""
        before = await self._store.messages.set_posting(job.id)
        if before is not None and before < now_ms() - NONCE_KEPT:
            found = await self._find(channel, job, before)
            if found is not None:
                return await ChannelPost(channel.get_partial_message(found)).edit(content)
        reference = reference_of(job) if reply else None
        return (await send(channel, content, nonce=nonce_of(job), reply_to=reference)).id

    async def _find(
        self,
        channel: discord.PartialMessageable | discord.DMChannel,
        job: Job,
        since: int,
    ) -> int | None:
        """As find_message, but None when the channel cannot be read. Raises Away."""
        me = self._client.user
        try:
            return await find_message(channel, job, since, me.id if me else None)
        except Exception as error:
            self._classify(job, error)
            return None

    @staticmethod
    def _classify(job: Job, error: Exception, content: MessageContent | None = None) -> Refusal:
        """Return the refusal if another route may work; raise if none would."""
        meaning = refusal(error)
        match meaning:
            case None:
                raise error
            case Refusal.TOO_LARGE:
                raise TooLarge(content.largest if content else 0) from error
            case Refusal.TRANSIENT:
                raise Away(short(error)) from error
            case Refusal.REJECTED | Refusal.UNKNOWN:
                log.error("job %s: Discord rejected the message: %s", job.id, short(error))
            case _:
                log.info("job %s: Discord refused one route: %s", job.id, short(error))
        return meaning


def reference_of(job: Job) -> discord.MessageReference | None:
    """The message that a new one for `job` replies to."""
    origin = Discord.of(job.origin)
    answered = origin.reply_to or origin.message_id
    if origin.channel_id is None or answered is None:
        return None
    return discord.MessageReference(
        message_id=answered, channel_id=origin.channel_id, fail_if_not_exists=False
    )
