"""Delivery: keeps each job's message up to date and posts its result or failure."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import discord

from bot.chat.copies import Copies
from bot.chat.delivery import direct
from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.lookup import names
from bot.chat.delivery.outbox import Outbox
from bot.chat.delivery.posts import ChannelPost, MessageContent, Post, mention, only, send
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.refused_reactions import Refusals, Told
from bot.chat.delivery.sender import Sender, TooLarge
from bot.chat.delivery.status import EDIT_INTERVAL, StatusBoard
from bot.chat.delivery.traffic import Traffic
from bot.chat.delivery.uploads import may_pass, uploads_of
from bot.chat.delivery.verdict import verdict
from bot.chat.ui.buttons import retry_view
from bot.chat.ui.messages import alt_text, failure_embed, result_embed, sentences
from bot.chat.ui.reactions import NEW_SEED, SAME_SEED
from bot.errors import JobFailed, StoreError
from bot.log import traceback_without
from bot.progress import Progress
from bot.queue import Ticket
from bot.store import Discord, Failure, InteractionToken, Job, JobState, Store, files_unread
from bot.store.retrying import keep_trying
from bot.texts.language import Texts
from catalog import LiveCatalog

log = logging.getLogger(__name__)

T = TypeVar("T")
SETTLE = 5.0
"""Seconds that a reaction waits for a result still being recorded."""


class Delivery:
    """The JobObserver for Discord. Discord's types stop here. traffic: what is on its way."""

    def __init__(
        self,
        *,
        client: discord.Client,
        store: Store,
        texts: Texts,
        catalog: LiveCatalog,
        images_dir: Path,
        interval: float = EDIT_INTERVAL,
        job_timeout: float = math.inf,
        undeliverable: Callable[[Job], Awaitable[None]] | None = None,
        webhook: Callable[[str], discord.Webhook] | None = None,
        logged_in: Callable[[], Awaitable[object]] | None = None,
        copies: Copies | None = None,
    ) -> None:
        """interval: seconds between two edits of a message. job_timeout: see bot.worker.attempt.

        undeliverable: called with a finished job that failed because it could not be delivered;
        default `failed`. webhook: builds one from an interaction's token; default discord.py's.
        logged_in: waits until the client has logged in; by default it already has.
        copies: notices other copies of the bot; by default, the client's requests are not counted.
        """
        self._client = client
        self._store = store
        self._texts = texts
        self._catalog = catalog
        self._images_dir = images_dir
        self._undeliverable = undeliverable or self.failed
        self._sender = Sender(client, store, webhook or partial(_webhook, client))
        self._logged_in = logged_in
        self._copies = copies or Copies()
        self._outbox = Outbox()
        self.traffic = Traffic()
        self._refusals = Refusals(self.traffic)
        self._gate = AgeGate(client, catalog)
        self._board = StatusBoard(
            store=store,
            texts=texts,
            sender=self._sender,
            gate=self._gate,
            interval=interval,
            job_timeout=job_timeout,
        )
        self._posting: set[asyncio.Future[None]] = set()

    # Acknowledging

    async def defer(self, interaction: discord.Interaction) -> None:
        """Acknowledge a command whose answer takes longer.

        If Discord refuses, the command goes on: its result does not need the answer. Raises
        AnsweredElsewhere if another copy of the bot has answered it.
        """
        try:
            await interaction.response.defer(thinking=True)
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
        embed, view = content.embed, content.view or discord.utils.MISSING
        message_id: int | None = None
        try:
            if interaction.response.is_done():
                answer = await interaction.edit_original_response(
                    embed=embed, view=view, allowed_mentions=only(None)
                )
                message_id = answer.id
            else:
                response = await interaction.response.send_message(
                    embed=embed, view=view, allowed_mentions=only(None)
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

    async def acknowledge_in_channel(self, ticket: Ticket, message: discord.PartialMessage) -> None:
        """Reply to `message` with the job's place in the queue, mentioning its user.

        Raises what discord.py raises when that is not allowed.
        """
        with self.traffic.acknowledging(ticket.job) as told:
            told.set_result(await self._acknowledge_in_channel(ticket, message))

    async def _acknowledge_in_channel(
        self, ticket: Ticket, message: discord.PartialMessage
    ) -> Discord:
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
                reply_to=message.to_reference(fail_if_not_exists=False),
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
            await self._store.messages.set(job.id, channel_id, message_id)
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
        self._board.show(job.id, progress)

    async def finished(self, job: Job) -> None:
        """Post the images; the job is then *delivered*, or *failed* when every route failed."""
        posting = asyncio.get_running_loop().create_future()
        self._posting.add(posting)
        try:
            if (followed := await self.traffic.acknowledged(job)) is None:
                return
            job = followed
            try:
                place = await self._carry(job, self._finish)
            except Exception as error:
                prompts = (job.request.painted_prompt, job.request.prompt, job.request.negative)
                log.error("job %s: unexpected error\n%s", job.id, traceback_without(error, prompts))
                await self._give_up(job, Failure("job.unexpected", {"id": job.id}))
                place = None
            if place is not None:
                await self._invite(job, *place)
            elif (given_up := await self._store.job(job.id)).state is JobState.FAILED:
                await self._undeliverable(given_up)
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
            return await bring(job, settled[0])

        return attempt

    async def settled(self) -> None:
        """Wait up to SETTLE for every result posted so far to be recorded with its message."""
        if self._posting:
            await asyncio.wait({*self._posting}, timeout=SETTLE)

    async def _finish(self, job: Job, post: Post | None) -> tuple[int, int] | None:
        """Post the result; returns channel and message ids, or None if not delivered."""
        origin = Discord.of(job.origin)
        say = self._texts.speaker(origin.locale)
        if (objection := await self._gate.objection(job)) is not None:
            await self._give_up(job, Failure(objection, {}))
            return None
        images = await self._store.images(job.id)
        entry = self._catalog.current.models.get(job.request.model)
        notes = sentences(say, job.warnings)
        if job.kind == "reroll":
            notes.append(await verdict(self._store, say, job, images))
        limit = origin.upload_limit
        while True:
            try:
                uploads, remarks = await asyncio.to_thread(
                    uploads_of, images, self._images_dir, limit, say
                )
            except (OSError, ValueError) as error:
                if may_pass(error):
                    raise files_unread(self._images_dir, error) from error
                log.error("job %s: its files cannot be read (%s)", job.id, type(error).__name__)
                await self._give_up(job, Failure("delivery.files_gone", {}))
                return None
            content = MessageContent(
                text=mention(origin.user_id) if origin.reply_to else None,
                embed=result_embed(
                    say,
                    job,
                    images,
                    model_name=entry.name if entry else job.request.made_with,
                    notes=[*notes, *remarks],
                ),
                uploads=uploads,
                alt_text=alt_text(job.request.prompt),
                mention=origin.user_id,
                direct=None if self._gate.applies(job) else direct.instead(say, origin),
            )
            try:
                channel_id, message_id = await self._sender.deliver(job, content, post)
            except TooLarge:
                limit = min(limit, max((len(upload.data) for upload in uploads), default=0)) // 2
                if limit == 0:
                    await self._give_up(job, Failure("delivery.rejected", {}))
                    return None
                continue
            except JobFailed as error:
                await self._give_up(job, Failure.of(error))
                return None
            break
        await keep_trying(
            lambda: self._store.deliver(job, channel_id, message_id),
            f"job {job.id}: delivered, but that cannot be recorded",
        )
        log.info("job %s: delivered", job.id)
        return channel_id, message_id

    async def _give_up(self, job: Job, failure: Failure) -> None:
        log.warning("job %s: not delivered, kept in the history: %s", job.id, failure.code)
        await keep_trying(
            lambda: self._store.fail(job, failure),
            f"job {job.id}: not delivered, and that cannot be recorded",
        )

    async def _tell_failure(self, job: Job, post: Post | None) -> None:
        origin = Discord.of(job.origin)
        say = self._texts.speaker(origin.locale)
        gated = self._gate.applies(job)
        hidden = await self._gate.objection(job) is not None
        content = MessageContent(
            text=mention(origin.user_id) if origin.reply_to else None,
            embed=failure_embed(say, job, hidden=hidden),
            view=retry_view(say, job, self._catalog.current.family_of(job.request.model)),
            mention=origin.user_id,
            # Of an image that may only be posted there, its person would learn nothing otherwise.
            direct=direct.instead(say, origin) if gated or direct.is_news(job) else None,
            direct_embed=failure_embed(say, job, hidden=True) if gated else None,
        )
        try:
            await self._sender.deliver(job, content, post)
        except (JobFailed, TooLarge) as error:
            log.warning("job %s: failure not reported: %s", job.id, error)
        await keep_trying(
            lambda: self._store.tell(job),
            f"job {job.id}: cannot record that its failure was handled",
        )

    async def _invite(self, job: Job, channel_id: int, message_id: int) -> None:
        message = self._client.get_partial_messageable(channel_id).get_partial_message(message_id)
        for emoji in (SAME_SEED, NEW_SEED):
            try:
                await message.add_reaction(emoji)
            except Exception as error:
                if refusal(error) is None:
                    raise
                log.info("job %s: no reaction added: %s", job.id, short(error))
                return


def _channel_of(job: Job) -> int:
    """What the outbox keeps in order: the messages of one channel."""
    return Discord.of(job.origin).channel_id or 0


def _webhook(client: discord.Client, token: str) -> discord.Webhook:
    """Answers an interaction by its token alone, so it also works after a restart."""
    return discord.Webhook.partial(client.application_id or 0, token, client=client)
