"""What becomes of a result's message later: it is taken down, or shown to everyone."""

import logging
from collections.abc import Container, Sequence
from dataclasses import replace
from enum import IntEnum

import discord

from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.outbox import Away
from bot.chat.delivery.posts import ChannelPost, MessageContent, mention, notice, send
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.results import Results
from bot.chat.delivery.sender import NO_WAY, Sender
from bot.chat.ui.actions import AGAIN, Rows, rows_below
from bot.errors import Refused, StoreError
from bot.store import Discord, Job, Store
from bot.store.sent_again import Shown
from bot.texts.language import Say

log = logging.getLogger(__name__)


class Removed(IntEnum):
    """When a message no longer shows a result: LATER, Removal deletes it; NEVER, Discord does not
    let us."""

    NOW = 0
    LATER = 1
    NEVER = 2


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

    async def take_down(self, job: Job, instead: str | None) -> Removed:
        """Delete the message, or put `instead` in its place where that is possible.

        One that only its person sees can be changed for 15 minutes.
        """
        removed = await self._take_down(job, instead)
        if (message_id := Discord.of(job.origin).message_id) is not None:
            await self._note(message_id, removed)
        return removed

    async def _take_down(self, job: Job, instead: str | None) -> Removed:
        later = False
        for text in dict.fromkeys((instead, None)):
            ways = self._sender.posts(job)
            while True:
                post = None
                try:
                    if (post := await anext(ways, None)) is None:
                        break
                    if text is None:
                        await post.delete()
                    else:
                        await post.edit(notice(text))
                except Exception as error:
                    meaning = refusal(error)
                    if meaning is None:
                        raise
                    log.info("job %s: its message was not taken down: %s", job.id, short(error))
                    # A token that is no longer valid says nothing about the message.
                    if meaning is Refusal.CLOSED and isinstance(post, ChannelPost):
                        return Removed.NOW
                    later = later or meaning in (Refusal.TRANSIENT, Refusal.BUSY)
                else:
                    return Removed.NOW
        return Removed.LATER if later else Removed.NEVER

    async def take_down_again(self, job: Job, channels: Container[int] | None = None) -> Removed:
        """Delete the messages that show the result elsewhere; returns what became of the one that
        stays longest.

        channels: only those in these.
        """
        worst = Removed.NOW
        for shown in await self._store.sent_again.of(job.id):
            if channels is not None and shown.channel_id not in channels:
                continue
            removed = await self._delete(job, shown)
            await self._note(shown.message_id, removed)
            worst = max(worst, removed)
        return worst

    async def _delete(self, job: Job, shown: Shown) -> Removed:
        channel = self._client.get_partial_messageable(shown.channel_id)
        try:
            await channel.get_partial_message(shown.message_id).delete()
        except Exception as error:
            if (meaning := refusal(error)) is None:
                raise
            log.info("job %s: a message was not taken down: %s", job.id, short(error))
            if meaning in (Refusal.TRANSIENT, Refusal.BUSY):
                return Removed.LATER
            return Removed.NOW if meaning is Refusal.CLOSED else Removed.NEVER
        return Removed.NOW

    async def _note(self, message_id: int, removed: Removed) -> None:
        """Have it deleted in the background only if that is still to be done."""
        forgettings = self._store.personal.forgettings
        if removed is Removed.NOW:
            await forgettings.drop_message(message_id)
        elif removed is Removed.NEVER:
            await forgettings.refuse_message(message_id)

    async def _take_back(self, job: Job, shown: Shown) -> None:
        """Delete a message that was sent while someone deleted its result."""
        await self._store.personal.forgettings.add_message(shown.channel_id, shown.message_id)
        await self._note(shown.message_id, await self._delete(job, shown))

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
            await self._take_back(job, Shown(channel_id, sent.id))
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
                await self._take_back(job, Shown(channel_id, shown.id))
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
