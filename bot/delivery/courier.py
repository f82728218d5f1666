"""Courier: brings a parcel to a job's message, or into a new one, by whichever way is open."""

import asyncio
import logging
from dataclasses import replace
from itertools import chain, repeat

import discord

from bot.delivery.posts import (
    ChannelPost,
    InteractionPost,
    Parcel,
    Post,
    Refusal,
    mention,
    refusal,
    send,
    short,
)
from bot.errors import JobFailed
from bot.store import Job

log = logging.getLogger(__name__)

RETRY_AFTER = (2.0, 10.0, 60.0)
"""Seconds between attempts while Discord is away; the last one again and again."""
NO_WAY = {
    Refusal.FORBIDDEN: "delivery.forbidden",
    Refusal.REJECTED: "delivery.rejected",
}


class TooLarge(Exception):
    """Discord refused the files' size."""


class _Away(Exception):
    """Discord cannot be reached at present."""


class Courier:
    """First the interaction's own answer, then the message in its channel, then a new message."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    def channel(self, job: Job) -> discord.PartialMessageable:
        """Where `job` was asked for. Raises JobFailed when it was not asked for in a channel."""
        if job.channel_id is None:
            raise JobFailed("delivery.gone")
        return self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

    def channel_post(self, job: Job) -> ChannelPost | None:
        """The job's message, reached through its channel; None when it is not known."""
        if job.message_id is None:
            return None
        return ChannelPost(self.channel(job).get_partial_message(job.message_id))

    async def bring(self, job: Job, parcel: Parcel, post: Post | None) -> discord.PartialMessage:
        """Put `parcel` into the job's message, or into a new one; try for as long as it takes.

        post: how the message was reached while the job ran.
        Raises JobFailed when no way is open and TooLarge when the files must shrink.
        """
        pauses = chain(RETRY_AFTER, repeat(RETRY_AFTER[-1]))
        while True:
            try:
                return await self._try_ways(job, parcel, post)
            except _Away as away:
                pause = next(pauses)
                log.warning("job %s: Discord is away (%s); again in %d s", job.id, away, pause)
                await asyncio.sleep(pause)

    async def _try_ways(
        self, job: Job, parcel: Parcel, post: Post | None
    ) -> discord.PartialMessage:
        channel = self.channel(job)
        ways: list[Post] = []
        if isinstance(post, InteractionPost) and not post.interaction.is_expired():
            ways.append(post)
        if (edit := self.channel_post(job)) is not None:
            ways.append(edit)
        for way in ways:
            try:
                return channel.get_partial_message(await way.edit(parcel))
            except Exception as error:
                self._weigh(job, error)
        # A new message has no command above it that says whose it is.
        named = replace(parcel, content=parcel.content or mention(job.user_id))
        try:
            sent = await send(channel, named, nonce=job.id, reply_to=_reference(job))
        except Exception as error:
            meaning = self._weigh(job, error)
            raise JobFailed(NO_WAY.get(meaning, "delivery.gone")) from error
        return channel.get_partial_message(sent.id)

    @staticmethod
    def _weigh(job: Job, error: Exception) -> Refusal:
        """Return if another way may be open; raise for what no other way mends."""
        meaning = refusal(error)
        match meaning:
            case None:
                raise error
            case Refusal.TOO_LARGE:
                raise TooLarge from error
            case Refusal.TRANSIENT:
                raise _Away(short(error)) from error
            case Refusal.REJECTED:
                log.error("job %s: Discord rejects the message: %s", job.id, short(error))
            case _:
                log.info("job %s: one way is closed: %s", job.id, short(error))
        return meaning


def _reference(job: Job) -> discord.MessageReference | None:
    if job.reply_to is None or job.channel_id is None:
        return None
    return discord.MessageReference(
        message_id=job.reply_to, channel_id=job.channel_id, fail_if_not_exists=False
    )
