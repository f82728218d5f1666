"""Delivery: keeps each job's message up to date and posts its result or failure."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import discord

from bot.chat.copies import Copies
from bot.chat.delivery.afterwards import Afterwards
from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.follow_ups import FollowUps
from bot.chat.delivery.lookup import names
from bot.chat.delivery.outbox import Outbox
from bot.chat.delivery.posts import (
    ChannelPost,
    Post,
    answering,
    only,
    send,
)
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.refused_reactions import Refusals, Told
from bot.chat.delivery.results import Results
from bot.chat.delivery.sender import Delivered, Sender, TooLarge, reference_of
from bot.chat.delivery.status import EDIT_INTERVAL, StatusBoard
from bot.chat.delivery.traffic import Traffic
from bot.errors import JobFailed, StoreError
from bot.levels import Levels
from bot.log import traceback_without
from bot.progress import Progress
from bot.queue import Ticket
from bot.store import Discord, Failure, InteractionToken, Job, JobState, Store
from bot.store.retrying import keep_trying
from bot.texts.language import Texts
from catalog import LiveCatalog

log = logging.getLogger(__name__)

T = TypeVar("T")
SETTLE = 5.0
"""Seconds that a reaction waits for a result still being recorded."""


class Delivery:
    """The JobObserver for Discord. Discord's types stop here.

    traffic: what is on its way. afterwards: changes the messages of results. gate: what may be
    shown where.
    """

    def __init__(
        self,
        *,
        client: discord.Client,
        store: Store,
        texts: Texts,
        catalog: LiveCatalog,
        images_dir: Path,
        interval: float = EDIT_INTERVAL,
        undeliverable: Callable[[Job], Awaitable[None]] | None = None,
        webhook: Callable[[str], discord.Webhook] | None = None,
        logged_in: Callable[[], Awaitable[object]] | None = None,
        copies: Copies | None = None,
        ping_after: float = 0,
        direct: bool = False,
        flagged: Callable[[Job], Awaitable[bool]] | None = None,
        levels: Levels | None = None,
        inputs_dir: Path | None = None,
    ) -> None:
        """interval: seconds between two edits of a message.

        undeliverable: called with a finished job that failed because it could not be delivered;
        default `failed`. webhook: builds one from an interaction's token; default discord.py's.
        logged_in: waits until the client has logged in; by default it already has.
        copies: notices other copies of the bot; by default, the client's requests are not counted.
        ping_after: minutes after which people are told that their result is ready; 0: never.
        direct: whether people may use the bot in direct messages. flagged: see AgeGate.
        levels: what servers, channels and people have set; by default, with no caps of the owner's.
        inputs_dir: where input images are; None: what was described is not shown.
        """
        self._client = client
        self._store = store
        self._texts = texts
        self._undeliverable = undeliverable or self.failed
        self._sender = Sender(client, store, webhook or partial(answering, client))
        self._logged_in = logged_in
        self._copies = copies or Copies()
        self._outbox = Outbox()
        self.traffic = Traffic()
        self._refusals = Refusals(self.traffic)
        self.gate = AgeGate(client, catalog, flagged) if flagged else AgeGate(client, catalog)
        self._board = StatusBoard(
            store=store,
            texts=texts,
            sender=self._sender,
            gate=self.gate,
            interval=interval,
        )
        self._levels = levels or Levels(store)
        gate = self.gate
        self._results = Results(
            store,
            texts,
            catalog,
            images_dir,
            gate,
            self._levels,
            direct=direct,
            inputs_dir=inputs_dir,
        )
        self.afterwards = Afterwards(client, store, self._sender, self._results, gate)
        self._follow_ups = FollowUps(self._sender, self._levels, texts, ping_after)
        self._posting: set[asyncio.Future[None]] = set()
        self._sending: set[str] = set()

    # Acknowledging

    async def defer(
        self, interaction: discord.Interaction, *, hidden: bool = False, apart: bool = False
    ) -> None:
        """Acknowledge a command whose answer takes longer. hidden: whether only its user sees it.
        apart: whether it is not answered, and the message of its button changed later.

        If Discord refuses, the command goes on: its result does not need the answer. Raises
        AnsweredElsewhere if another copy of the bot has answered it.
        """
        try:
            await interaction.response.defer(thinking=not apart, ephemeral=hidden)
        except Exception as error:
            if refusal(error) is None:
                raise
            await self._copies.check(interaction, error)
            log.warning("interaction %d: not deferred: %s", interaction.id, short(error))

    async def acknowledge(self, interaction: discord.Interaction, ticket: Ticket) -> None:
        """Answer a command with the job's place in the queue, and follow the job from there.

        interaction: not answered yet, or deferred.

        If the answer comes too late or gets lost, the job goes on: its result is then sent to the
        channel. Raises AnsweredElsewhere if another copy of the bot has answered: it has a job for
        it, too.
        """
        with self.traffic.acknowledging(ticket.job) as told:
            told.set_result(await self._acknowledge(interaction, ticket))

    async def _acknowledge(self, interaction: discord.Interaction, ticket: Ticket) -> Discord:
        job = ticket.job
        token = InteractionToken(interaction.id, interaction.token)
        post: Post | None = self._sender.interaction_post(token)
        content = self._board.content(job, ticket.place)
        origin = Discord.of(job.origin)
        mentions = only(origin.user_id if origin.reply_to else None)
        message_id: int | None = None
        try:
            if interaction.response.is_done():
                answer = await interaction.edit_original_response(
                    **content.parts, allowed_mentions=mentions
                )
                message_id = answer.id
            else:
                response = await interaction.response.send_message(
                    **content.parts, ephemeral=origin.hidden, allowed_mentions=mentions
                )
                message_id = response.message_id
        except Exception as error:
            if refusal(error) is None:
                raise
            log.warning("job %s: the acknowledgement failed: %s", job.id, short(error))
            await self._copies.check(interaction, error, ours=lambda answer: names(answer, job))
            if refusal(error) is Refusal.CLOSED:
                # After any other error the message may exist: perhaps only the reply was lost.
                post = None
                await self._store.messages.erase_token(job.id)
        if message_id and interaction.channel_id:
            job = await self._note_message(job, interaction.channel_id, message_id)
        self._board.follow(job, post, ticket.place)
        return Discord.of(job.origin)

    async def acknowledge_in_channel(self, ticket: Ticket) -> None:
        """Post the job's place in the queue, mentioning its user, as a reply to what it was made
        from.

        Raises what discord.py raises when that is not allowed.
        """
        with self.traffic.acknowledging(ticket.job) as told:
            told.set_result(await self._acknowledge_in_channel(ticket))

    async def _acknowledge_in_channel(self, ticket: Ticket) -> Discord:
        job = ticket.job
        channel = self._sender.channel(job)
        post = None
        try:
            sent = await send(
                channel,
                replace(
                    self._board.content(job, ticket.place), mention=Discord.of(job.origin).user_id
                ),
                nonce=f"{job.id}-ack",
                reply_to=reference_of(job),
            )
        except Exception as error:
            if refusal(error) is not Refusal.TRANSIENT:
                raise
            # It may have arrived. Going on is safe: the result can be sent as its own reply.
            log.warning("job %s: the acknowledgement failed: %s", job.id, short(error))
        else:
            post = ChannelPost(channel.get_partial_message(sent.id))
            job = await self._note_message(job, channel.id, sent.id)
        self._board.follow(job, post, ticket.place)
        return Discord.of(job.origin)

    async def refuse(self, asked: Discord, text: str) -> bool:
        """Tell why the reaction `asked` is refused, or say nothing; see Refusals."""
        channel = self._client.get_partial_messageable(
            asked.channel_id or 0, guild_id=asked.guild_id
        )
        return await self._refusals.tell(channel, Told(asked.user_id, asked.reply_to or 0, text))

    async def _note_message(self, job: Job, channel_id: int, message_id: int) -> Job:
        """Record the message. The user has seen it, so the job goes on if this fails."""
        try:
            if not await self._store.messages.set(job.id, channel_id, message_id):
                await self._store.personal.forgettings.add_message(channel_id, message_id)
        except StoreError as error:
            log.error("job %s: cannot record its message: %s", job.id, error)
            return job
        origin = replace(Discord.of(job.origin), channel_id=channel_id, message_id=message_id)
        return replace(job, origin=origin)

    async def resume(self, tickets: Sequence[Ticket]) -> None:
        """After a restart: follow the queued jobs, some of which may be running by now."""
        await self._board.resume(
            [(t.job, t.place) for t in tickets if isinstance(t.job.origin, Discord)]
        )

    @property
    def sending(self) -> frozenset[str]:
        """Jobs whose end is being sent at this moment: it is not known yet in which message."""
        return frozenset(self._sending)

    @property
    def on_the_way(self) -> int:
        """How many results and failures Discord does not have yet."""
        return len(self._outbox)

    def back(self) -> None:
        """Discord is reachable again: retry now what is waiting to."""
        self._outbox.back()

    # JobObserver

    def moved(self, places: dict[str, Progress]) -> None:
        self._board.moved(places)

    def progressed(self, job: Job, progress: Progress) -> None:
        self._board.progressed(job, progress)

    async def finished(self, job: Job) -> None:
        """Post the images; the job is then *delivered*, or *failed* when every route failed."""
        posting = asyncio.get_running_loop().create_future()
        self._posting.add(posting)
        try:
            if (followed := await self.traffic.acknowledged(job)) is None:
                return
            job = followed
            try:
                delivered = await self._carry(job, self._finish)
            except Exception as error:
                prompts = job.request.texts
                log.error("job %s: unexpected error\n%s", job.id, traceback_without(error, prompts))
                await self._give_up(job, Failure("job.unexpected", {"id": job.id}))
                delivered = None
            if delivered is not None:
                if not await self._is_forgotten(job):
                    await self._follow_ups.send(job, delivered)
            elif (left := await self._store.find(job.id)) and left.state is JobState.FAILED:
                await self._undeliverable(left)
        finally:
            self._posting.discard(posting)
            posting.set_result(None)

    async def failed(self, job: Job) -> None:
        """Tell the user why there is no image. If Discord refuses that, nothing more is tried."""
        if (followed := await self.traffic.acknowledged(job)) is not None:
            await self._carry(followed, self._tell_failure)

    async def _carry(self, job: Job, bring: Callable[[Job, Post | None], Awaitable[T]]) -> T:
        """`bring`, in the line of the job's channel."""
        channel_id = _channel_of(job)
        with self.traffic.to(channel_id):
            return await self._outbox.carry(channel_id, job.id, self._turn(job, bring))

    def _turn(
        self, job: Job, bring: Callable[[Job, Post | None], Awaitable[T]]
    ) -> Callable[[], Awaitable[T]]:
        """`bring` as an attempt that can be repeated; it first stops the status edits, once."""
        settled: list[Post | None] = []

        async def attempt() -> T:
            if self._logged_in is not None:
                await self._logged_in()
            if not settled:
                settled.append(await self._board.settle(job))
            self._sending.add(job.id)
            try:
                return await bring(job, settled[0])
            finally:
                self._sending.discard(job.id)

        return attempt

    async def settled(self, *, within: float = SETTLE) -> None:
        """Wait up to `within` seconds for the results posted so far to be recorded."""
        if self._posting:
            await asyncio.wait({*self._posting}, timeout=within)

    async def _finish(self, job: Job, post: Post | None) -> Delivered | None:
        """Post the result; returns its message, or None if not delivered."""
        if await self._is_forgotten(job):
            await self._give_up(job, Failure("delivery.gone", {}))
            return None
        if (objection := await self.gate.objection(job)) is not None:
            await self._give_up(job, Failure(objection, {}))
            return None
        limit = Discord.of(job.origin).upload_limit
        while True:
            try:
                content = await self._results.result(job, limit)
                delivered = await self._sender.deliver(job, content, post)
            except TooLarge as error:
                limit = min(limit, error.largest) // 2
                if limit == 0:
                    await self._give_up(job, Failure("delivery.rejected", {}))
                    return None
                continue
            except JobFailed as error:
                await self._give_up(job, Failure.of(error))
                return None
            break
        recorded = await keep_trying(
            lambda: self._store.deliver(job, delivered.channel_id, delivered.message_id),
            f"job {job.id}: delivered, but that cannot be recorded",
        )
        if recorded is None and await self._is_forgotten(job):
            forgettings = self._store.personal.forgettings
            await keep_trying(
                lambda: forgettings.add_message(delivered.channel_id, delivered.message_id),
                f"job {job.id}: forgotten, but its message cannot be recorded",
            )
            return None
        log.info("job %s: delivered", job.id)
        return delivered

    async def _is_forgotten(self, job: Job) -> bool:
        """Whether it is erased, or to be: nothing of it is shown any more."""
        left = await self._store.find(job.id)
        if left is None or left.person != job.person:
            return True
        return await self._store.personal.forgettings.concerns(job)

    async def _give_up(self, job: Job, failure: Failure) -> None:
        log.warning("job %s: not delivered, kept in the history: %s", job.id, failure.code)
        await keep_trying(
            lambda: self._store.fail(job, failure),
            f"job {job.id}: not delivered, and that cannot be recorded",
        )

    async def _tell_failure(self, job: Job, post: Post | None) -> None:
        if not await self._is_forgotten(job):
            try:
                await self._sender.deliver(job, await self._results.failure(job), post)
            except (JobFailed, TooLarge) as error:
                log.warning("job %s: failure not reported: %s", job.id, error)
        await keep_trying(
            lambda: self._store.tell(job),
            f"job {job.id}: cannot record that its failure was handled",
        )


def _channel_of(job: Job) -> int:
    """What the outbox keeps in order: the messages of one channel."""
    return Discord.of(job.origin).channel_id or 0
