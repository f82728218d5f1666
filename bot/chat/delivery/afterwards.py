"""What becomes of a result's message later: it is taken down, or shown to everyone."""

import logging
from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial

import discord

from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.outbox import Away
from bot.chat.delivery.posts import ChannelPost, MessageContent, mention, send
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.results import Results
from bot.chat.delivery.sender import NO_WAY, Sender
from bot.chat.ui.actions import AGAIN, Rows, rows_below
from bot.errors import Refused, StoreError
from bot.store import Discord, Job, Store
from bot.store.sent_again import Shown
from bot.texts.language import Say

log = logging.getLogger(__name__)


class Afterwards:
    """Changes the messages of results that were delivered."""

    def __init__(
        self, client: discord.Client, store: Store, sender: Sender, results: Results, gate: AgeGate
    ) -> None:
        self._client = client
        self._store = store
        self._sender = sender
        self._results = results
        self._gate = gate
        self._publishing: set[str] = set()

    async def take_down(self, job: Job, notice: str | None) -> bool:
        """Delete the message, or put `notice` in its place where that is possible.

        Returns whether it no longer shows the images. One that only its person sees can be changed
        for 15 minutes.
        """
        for text in dict.fromkeys((notice, None)):
            async for post in self._sender.posts(job):
                try:
                    if text is None:
                        await post.delete()
                    else:
                        await post.edit(MessageContent(layout=partial(_notice, text)))
                except Exception as error:
                    meaning = refusal(error)
                    if meaning is None:
                        raise
                    log.info("job %s: its message was not taken down: %s", job.id, short(error))
                    # A token that is no longer valid says nothing about the message.
                    if meaning is Refusal.CLOSED and isinstance(post, ChannelPost):
                        return True
                else:
                    return True
        return False

    async def take_down_again(self, job: Job, channels: Container[int] | None = None) -> bool:
        """Delete the messages that show the result elsewhere; returns whether all are gone.

        channels: only those in these. What Discord refuses is logged.
        """
        gone = True
        for shown in await self._store.sent_again.of(job.id):
            if channels is not None and shown.channel_id not in channels:
                continue
            channel = self._client.get_partial_messageable(shown.channel_id)
            try:
                await channel.get_partial_message(shown.message_id).delete()
            except Exception as error:
                if (meaning := refusal(error)) is None:
                    raise
                log.info("job %s: a message was not taken down: %s", job.id, short(error))
                if meaning is not Refusal.CLOSED:
                    gone = False
                    continue
            await self._store.sent_again.drop(shown.message_id)
        return gone

    async def opened(
        self, job: Job, say: Say, limit: int, actions: Rows, notes: Sequence[str] = ()
    ) -> MessageContent:
        """See Results.opened."""
        return await self._results.opened(job, say, limit, actions, notes)

    async def check_elsewhere(self, job: Job) -> None:
        """Raise Refused if it may only be shown in an age-restricted channel, also for its words,
        or that is not known now."""
        try:
            if await self._gate.concerns(job):
                raise Refused("repeat.gated")
        except Away as error:
            raise Refused("publish.away") from error

    async def send_again(
        self, job: Job, channel_id: int, heading: str, say: Say, *, nonce: str
    ) -> None:
        """Show the result in a channel, as a new message.

        heading: stands above it. say: the language. nonce: the same for what is asked for once.
        Raises Refused if Discord does not let us, JobFailed if its files are gone.
        """
        origin = Discord.of(job.origin)
        same = origin.channel_id == channel_id and not origin.hidden
        # Elsewhere people may not see where it was asked for, and then nothing else can be done.
        actions = rows_below(job.request, hidden=False) if same else AGAIN
        limit = origin.upload_limit
        channel = self._client.get_partial_messageable(channel_id)
        try:
            while True:
                content = await self._results.opened(job, say, limit, actions)
                try:
                    sent = await send(channel, replace(content, text=heading), nonce=nonce)
                    break
                except discord.HTTPException as error:
                    limit = min(limit, content.largest) // 2
                    if refusal(error) is not Refusal.TOO_LARGE or limit == 0:
                        raise
        except Exception as error:
            if (meaning := refusal(error)) is None:
                raise
            log.info("job %s: not sent again: %s", job.id, short(error))
            raise Refused(NO_WAY.get(meaning, "publish.away")) from error
        try:
            known = await self._store.sent_again.add(job.id, Shown(channel_id, sent.id))
        except StoreError:
            # Once it is to be deleted, nobody would know of it.
            await sent.delete()
            raise
        if not known:
            await sent.delete()
            raise Refused("action.deleted")

    async def publish(self, job: Job) -> None:
        """Show a hidden result in the channel that it was asked for in.

        Raises Refused if it is being shown already, or Discord does not let us, JobFailed if its
        files are gone.
        """
        channel_id = Discord.of(job.origin).channel_id
        if channel_id is None or job.id in self._publishing:
            raise Refused("publish.twice")
        self._publishing.add(job.id)
        try:
            if not Discord.of((await self._store.job(job.id)).origin).hidden:
                raise Refused("publish.twice")
            shown = await self._post(job, channel_id)
            if not await self._store.messages.publish(job.id, shown.id):
                await shown.delete()
                raise Refused("action.deleted")
        except Away as error:
            raise Refused("publish.away") from error
        except Exception as error:
            if (meaning := refusal(error)) is None:
                raise
            log.info("job %s: not published: %s", job.id, short(error))
            raise Refused(NO_WAY.get(meaning, "publish.away")) from error
        finally:
            self._publishing.discard(job.id)

    async def _post(self, job: Job, channel_id: int) -> discord.Message:
        if (objection := await self._gate.objection(job)) is not None:
            raise Refused(objection)
        origin = Discord.of(job.origin)
        public = replace(job, origin=replace(origin, hidden=False))
        channel = self._client.get_partial_messageable(channel_id)
        limit = origin.upload_limit
        while True:
            content = await self._results.result(public, limit)
            # Unlike a response to a command, a new message does not show whose it is.
            named = replace(content, text=mention(origin.user_id), mention=None)
            try:
                return await send(channel, named, nonce=f"{job.id}-pub")
            except discord.HTTPException as error:
                limit = min(limit, content.largest) // 2
                if refusal(error) is not Refusal.TOO_LARGE or limit == 0:
                    raise


def _notice(text: str, _: str | None) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(text))
    return view
