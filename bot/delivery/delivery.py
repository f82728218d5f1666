"""Delivery: keeps each job's message up to date and brings the result, by whichever way is open."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import discord

from bot.delivery.courier import Courier, TooLarge
from bot.delivery.posts import (
    ChannelPost,
    InteractionPost,
    Parcel,
    Post,
    Refusal,
    mention,
    only,
    refusal,
    send,
    short,
)
from bot.delivery.status import EDIT_INTERVAL, StatusBoard
from bot.delivery.uploads import Upload, fit, share
from bot.errors import JobFailed
from bot.progress import Progress
from bot.queue import Ticket
from bot.store import Failure, ImageRecord, Job, JobState, Store
from bot.ui.language import Say, Texts
from bot.ui.messages import alt_text, failure_embed, result_embed, sentences
from bot.ui.reactions import NEW_SEED, SAME_SEED
from catalog import Catalog

log = logging.getLogger(__name__)

SETTLE = 5.0
"""Seconds that a reaction waits for a result under way."""


class Delivery:
    """A JobObserver that speaks Discord. Discord's types stop here."""

    def __init__(
        self,
        *,
        client: discord.Client,
        store: Store,
        texts: Texts,
        catalog: Callable[[], Catalog],
        images_dir: Path,
        interval: float = EDIT_INTERVAL,
    ) -> None:
        self._store = store
        self._texts = texts
        self._catalog = catalog
        self._images_dir = images_dir
        self._courier = Courier(client)
        self._board = StatusBoard(
            store=store, texts=texts, courier=self._courier, interval=interval
        )
        self._posting: set[asyncio.Future[None]] = set()

    # Acknowledging

    async def acknowledge(self, interaction: discord.Interaction, ticket: Ticket) -> None:
        """Answer a command with the job's place in line, and follow the job from there.

        interaction: not answered yet, or deferred.

        An answer that comes too late or gets lost does not lose the job: its result is then sent
        to the channel.
        """
        job = ticket.job
        post: Post | None = None
        parcel = self._board.parcel(job, ticket.place)
        embed, view = parcel.embed, parcel.view or discord.utils.MISSING
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
            if not isinstance(error, discord.NotFound):
                # Only its answer may have been lost; then the message is there to be edited.
                post = InteractionPost(interaction)
        else:
            post = InteractionPost(interaction)
        if message_id and interaction.channel_id:
            await self._store.set_message(job.id, interaction.channel_id, message_id)
        self._board.follow(job, post, ticket.place)

    async def acknowledge_in_channel(self, ticket: Ticket, message: discord.PartialMessage) -> None:
        """Reply to `message` with the job's place in line, mentioning who asked.

        Raises what discord.py raises when that is not allowed.
        """
        job = ticket.job
        channel = self._courier.channel(job)
        post = None
        try:
            sent = await send(
                channel,
                replace(self._board.parcel(job, ticket.place), mention=job.user_id),
                nonce=f"{job.id}-ack",
                reply_to=message.to_reference(fail_if_not_exists=False),
            )
        except Exception as error:
            if refusal(error) is not Refusal.TRANSIENT:
                raise
            # It may have arrived: going on loses nothing, and the result is a reply of its own.
            log.warning("job %s: the acknowledgement failed: %s", job.id, short(error))
        else:
            post = ChannelPost(channel.get_partial_message(sent.id))
            await self._store.set_message(job.id, channel.id, sent.id)
        self._board.follow(job, post, ticket.place)

    def resume(self, tickets: tuple[Ticket, ...]) -> None:
        """After a restart: follow what waits."""
        for ticket in tickets:
            self._board.follow(ticket.job, self._courier.channel_post(ticket.job))
            self._board.show(ticket.job.id, ticket.place)

    async def bring(self, jobs: Sequence[Job]) -> None:
        """After a restart: bring what was painted but not delivered; tell what was given up."""
        news = [self.finished(j) if j.state is JobState.DONE else self.failed(j) for j in jobs]
        for job, outcome in zip(
            jobs, await asyncio.gather(*news, return_exceptions=True), strict=True
        ):
            if isinstance(outcome, Exception):
                log.error("job %s: could not be brought", job.id, exc_info=outcome)

    # JobObserver

    def moved(self, places: dict[str, Progress]) -> None:
        self._board.moved(places)

    def progressed(self, job: Job, progress: Progress) -> None:
        self._board.show(job.id, progress)

    async def finished(self, job: Job) -> None:
        """Bring the pictures; the job is then *delivered*, or *failed* when no way is open."""
        posting = asyncio.get_running_loop().create_future()
        self._posting.add(posting)
        try:
            await self._finish(job)
        finally:
            self._posting.discard(posting)
            posting.set_result(None)

    async def settled(self) -> None:
        """Wait until every result that is visible by now is recorded with its message."""
        if self._posting:
            await asyncio.wait({*self._posting}, timeout=SETTLE)

    async def _finish(self, job: Job) -> None:
        post = await self._board.settle(job)
        say = self._texts.speaker(job.locale)
        images = await self._store.images(job.id)
        entry = self._catalog().models.get(job.request.model)
        notes = sentences(say, job.warnings)
        if job.kind == "reroll":
            notes.append(await self._verdict(say, job, images))
        limit = job.upload_limit
        while True:
            try:
                uploads, remarks = await asyncio.to_thread(self._uploads, say, images, limit)
            except (OSError, ValueError) as error:
                log.error("job %s: its files cannot be read (%s)", job.id, type(error).__name__)
                await self._give_up(job, Failure("delivery.files_gone", {}), post)
                return
            parcel = Parcel(
                content=mention(job.user_id) if job.reply_to else None,
                embed=result_embed(
                    say,
                    job,
                    images,
                    model_name=entry.name if entry else job.request.model,
                    notes=[*notes, *remarks],
                ),
                uploads=uploads,
                alt_text=alt_text(job.request.prompt),
                mention=job.user_id,
            )
            try:
                message = await self._courier.bring(job, parcel, post)
            except TooLarge:
                limit = min(limit, max((len(upload.data) for upload in uploads), default=0)) // 2
                if limit == 0:
                    await self._give_up(job, Failure("delivery.rejected", {}), post)
                    return
                continue
            except JobFailed as error:
                await self._give_up(job, Failure.of(error), post)
                return
            break
        await self._store.deliver(job, message.channel.id, message.id)
        log.info("job %s: delivered", job.id)
        await self._invite(job, message)

    async def _give_up(self, job: Job, failure: Failure, post: Post | None) -> None:
        log.warning("job %s: not delivered: %s", job.id, failure.code)
        if failed := await self._store.fail(job, failure):
            await self._tell_failure(failed, post)

    async def failed(self, job: Job) -> None:
        """Say kindly why there is no picture. Nothing more is tried when that cannot be said."""
        await self._tell_failure(job, await self._board.settle(job))

    async def _tell_failure(self, job: Job, post: Post | None) -> None:
        parcel = Parcel(
            content=mention(job.user_id) if job.reply_to else None,
            embed=failure_embed(self._texts.speaker(job.locale), job),
            mention=job.user_id,
        )
        try:
            await self._courier.bring(job, parcel, post)
        except (JobFailed, TooLarge) as error:
            log.warning("job %s: failure not told: %s", job.id, error)

    async def _invite(self, job: Job, message: discord.PartialMessage) -> None:
        for emoji in (SAME_SEED, NEW_SEED):
            try:
                await message.add_reaction(emoji)
            except Exception as error:
                if refusal(error) is None:
                    raise
                log.info("job %s: no reaction added: %s", job.id, short(error))
                return

    async def _verdict(self, say: Say, job: Job, images: tuple[ImageRecord, ...]) -> str:
        """Whether a reroll gave the same pixels as the original, and if not, what has changed."""
        original = await self._store.find(job.parent_id) if job.parent_id else None
        if original is None or original.recipe is None or job.recipe is None:
            return say("result.original_gone")
        before = await self._store.images(original.id)
        if [i.pixels_sha256 for i in before] == [i.pixels_sha256 for i in images]:
            return say("result.identical")
        changed = ", ".join(job.recipe.changed_since(original.recipe))
        if not changed:
            return say("result.differs_unknown")
        return say("result.differs", changed=changed)

    def _uploads(
        self, say: Say, images: tuple[ImageRecord, ...], limit: int
    ) -> tuple[list[Upload], list[str]]:
        """The files within `limit` bytes each, and what must be said about them. Blocking."""
        limit = share([image.bytes for image in images], limit)
        uploads, remarks = [], []
        for image in images:
            path = self._images_dir / image.path
            upload = fit(path.name, path.read_bytes(), limit)
            if upload is None:
                remarks.append(say("result.too_large"))
                continue
            if upload.shrunk:
                megabytes = f"{image.bytes / 1_000_000:.1f}"
                remarks.append(say("result.shrunk", format=upload.shrunk, megabytes=megabytes))
            uploads.append(upload)
        return uploads, list(dict.fromkeys(remarks))
