"""Delivery: keeps each job's message up to date and brings the result, by whichever way is open."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import discord

from bot.delivery.pacing import Pacer
from bot.delivery.posts import (
    ChannelPost,
    InteractionPost,
    Parcel,
    Post,
    Refusal,
    only,
    refusal,
    send,
)
from bot.delivery.uploads import Upload, fit, share
from bot.errors import JobFailed
from bot.progress import Progress, Stage
from bot.queue import Ticket
from bot.store import Failure, ImageRecord, Job, JobState, Store
from bot.ui.language import Say, Texts
from bot.ui.messages import (
    alt_text,
    failure_embed,
    result_embed,
    sentences,
    status_embed,
    status_line,
)
from bot.ui.reactions import NEW_SEED, SAME_SEED
from catalog import Catalog

log = logging.getLogger(__name__)

EDIT_INTERVAL = 2.0
RETRY_AFTER = (2.0, 10.0, 60.0)
"""Seconds between attempts while Discord is away; after the last, the next start tries."""
NEAR = 10
"""Places at the head of the line that are shown exactly."""
LANES = 2
"""Edits of waiting messages that may be under way at once."""
SETTLE = 5.0
"""Seconds that a reaction waits for a result under way."""
TRANSIENT_TEXT = "Discord could not be reached"
NO_WAY = {
    Refusal.FORBIDDEN: "delivery.forbidden",
    Refusal.REJECTED: "delivery.rejected",
}


@dataclass(slots=True)
class _Followed:
    """A job whose message is being kept up to date."""

    job: Job
    say: Say
    post: Post | None
    shown: str
    pacer: Pacer = field(init=False)


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
        self._client = client
        self._store = store
        self._texts = texts
        self._catalog = catalog
        self._images_dir = images_dir
        self._interval = interval
        self._followed: dict[str, _Followed] = {}
        self._lanes = asyncio.Semaphore(LANES)
        self._posting: set[asyncio.Future[None]] = set()

    # Acknowledging

    async def acknowledge(self, interaction: discord.Interaction, ticket: Ticket) -> None:
        """Answer a command with the job's place in line, and follow the job from there.

        An answer that comes too late or gets lost does not lose the job: its result is then sent
        to the channel.
        """
        job = ticket.job
        post: Post | None = None
        try:
            response = await interaction.response.send_message(
                embed=self._status(job, Progress(Stage.QUEUED, position=ticket.position)),
                allowed_mentions=only(None),
            )
        except Exception as error:
            if refusal(error) is None:
                raise
            log.warning("job %s: the acknowledgement failed: %s", job.id, _short(error))
            message_id = None
            if not isinstance(error, discord.NotFound):
                # Only its answer may have been lost; then the message is there to be edited.
                post = InteractionPost(interaction)
        else:
            post, message_id = InteractionPost(interaction), response.message_id
        if message_id and interaction.channel_id:
            await self._store.set_message(job.id, interaction.channel_id, message_id)
        self._follow(job, post, ticket.position)

    async def acknowledge_in_channel(
        self, ticket: Ticket, message: discord.PartialMessage, user_id: int
    ) -> None:
        """Reply to `message` with the job's place in line, mentioning `user_id`.

        Raises what discord.py raises when that is not possible.
        """
        job = ticket.job
        parcel = Parcel(
            embed=self._status(job, Progress(Stage.QUEUED, position=ticket.position)),
            content=self._ping(job, user_id),
            mention=user_id,
        )
        channel = self._channel(job)
        reference = message.to_reference(fail_if_not_exists=False)
        sent = await send(channel, parcel, nonce=f"{job.id}-ack", reply_to=reference)
        await self._store.set_message(job.id, channel.id, sent.id)
        self._follow(job, ChannelPost(channel.get_partial_message(sent.id)), ticket.position)

    def resume(self, tickets: tuple[Ticket, ...]) -> None:
        """After a restart: follow what waits."""
        for ticket in tickets:
            self._follow(ticket.job, self._channel_post(ticket.job))
            self._show(ticket.job.id, Progress(Stage.QUEUED, position=ticket.position))

    async def bring(self, jobs: Sequence[Job]) -> None:
        """After a restart: bring what was painted but not delivered; tell what was given up."""
        for job in jobs:
            try:
                await (self.finished(job) if job.state is JobState.DONE else self.failed(job))
            except Exception:
                log.exception("job %s: could not be brought", job.id)

    def _follow(self, job: Job, post: Post | None, position: int | None = None) -> None:
        """position: what the message shows now; None where that is not known."""
        say = self._texts.speaker(job.locale)
        shown = status_line(say, Progress(Stage.QUEUED, position=position)) if position else ""
        followed = _Followed(job, say, post, shown)
        followed.pacer = Pacer(lambda progress: self._edit(followed, progress), self._interval)
        self._followed[job.id] = followed

    # JobObserver

    def moved(self, places: dict[str, int]) -> None:
        for job_id, place in places.items():
            # Far back in a long line every tenth place will do: each edit is a request.
            if place <= NEAR or place % NEAR == 0:
                self._show(job_id, Progress(Stage.QUEUED, position=place))

    def progressed(self, job: Job, progress: Progress) -> None:
        self._show(job.id, progress)

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
        post = await self._settle(job)
        say = self._texts.speaker(job.locale)
        images = await self._store.images(job.id)
        entry = self._catalog().models.get(job.request.model)
        notes = sentences(say, job.warnings)
        if job.kind == "reroll":
            notes.append(await self._verdict(say, job, images))
        limit = job.upload_limit
        while True:
            try:
                uploads, remarks = await asyncio.to_thread(self._uploads, say, job, images, limit)
            except (OSError, ValueError) as error:
                log.error("job %s: its files cannot be read (%s)", job.id, type(error).__name__)
                await self._give_up(job, Failure("delivery.files_gone", {}), post)
                return
            parcel = Parcel(
                content=self._ping(job, job.user_id) if job.reply_to else None,
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
                message = await self._bring(job, parcel, post)
            except _TooLarge:
                limit = min(limit, max((len(upload.data) for upload in uploads), default=0)) // 2
                if limit == 0:
                    await self._give_up(job, Failure("delivery.rejected", {}), post)
                    return
                continue
            except JobFailed as error:
                await self._give_up(job, Failure.of(error), post)
                return
            break
        if message is None:
            log.warning("job %s: %s; it is kept for the next start", job.id, TRANSIENT_TEXT)
            return
        await self._store.deliver(job, message.channel.id, message.id)
        log.info("job %s: delivered", job.id)
        await self._invite(job, message)

    async def _give_up(self, job: Job, failure: Failure, post: Post | None) -> None:
        log.warning("job %s: not delivered: %s", job.id, failure.code)
        if failed := await self._store.fail(job, failure):
            await self._tell_failure(failed, post)

    async def failed(self, job: Job) -> None:
        """Say kindly why there is no picture. Nothing more is tried when that cannot be said."""
        await self._tell_failure(job, await self._settle(job))

    async def _tell_failure(self, job: Job, post: Post | None) -> None:
        parcel = Parcel(
            content=self._ping(job, job.user_id) if job.reply_to else None,
            embed=failure_embed(self._texts.speaker(job.locale), job),
            mention=job.user_id,
        )
        try:
            if await self._bring(job, parcel, post) is None:
                log.warning("job %s: failure not told: %s", job.id, TRANSIENT_TEXT)
        except (JobFailed, _TooLarge) as error:
            log.warning("job %s: failure not told: %s", job.id, error)

    # The message while the job runs

    def _show(self, job_id: str, progress: Progress) -> None:
        followed = self._followed.get(job_id)
        if followed is not None and followed.post is not None:
            followed.pacer.show(progress)

    async def _edit(self, followed: _Followed, progress: Progress) -> None:
        line = status_line(followed.say, progress)
        if followed.post is None or line == followed.shown:
            return
        embed = status_embed(followed.say, followed.job, progress)
        ping = self._ping(followed.job, followed.job.user_id) if followed.job.reply_to else None
        lane = self._lanes if progress.stage is Stage.QUEUED else contextlib.nullcontext()
        try:
            async with lane:
                await followed.post.edit(Parcel(embed=embed, content=ping))
            followed.shown = line
        except Exception as error:
            meaning = refusal(error)
            if meaning is None:
                raise
            log.info("job %s: status not shown: %s", followed.job.id, _short(error))
            if meaning is not Refusal.TRANSIENT:
                followed.post = await self._other_post(followed)

    async def _other_post(self, followed: _Followed) -> Post | None:
        """Past its 15 minutes an interaction is closed; its message is still in the channel."""
        if not isinstance(followed.post, InteractionPost):
            return None
        return self._channel_post(await self._store.job(followed.job.id))

    async def _settle(self, job: Job) -> Post | None:
        """Stop editing the status, so that nothing overtakes the result; returns its post."""
        followed = self._followed.pop(job.id, None)
        if followed is None:
            return None
        await followed.pacer.close()
        return followed.post

    # The message at the end

    async def _bring(
        self, job: Job, parcel: Parcel, post: Post | None
    ) -> discord.PartialMessage | None:
        """Put `parcel` into the job's message, or into a new one; None when Discord is away.

        Raises JobFailed when no way is open and _TooLarge when the files must shrink.
        """
        for pause in (*RETRY_AFTER, None):
            try:
                return await self._try_ways(job, parcel, post)
            except _Away as away:
                log.info("job %s: Discord is away: %s", job.id, away)
                if pause is not None:
                    await asyncio.sleep(pause)
        return None

    async def _try_ways(
        self, job: Job, parcel: Parcel, post: Post | None
    ) -> discord.PartialMessage:
        channel = self._channel(job)
        ways: list[Post] = []
        if isinstance(post, InteractionPost) and not post.interaction.is_expired():
            ways.append(post)
        if (edit := self._channel_post(job)) is not None:
            ways.append(edit)
        for way in ways:
            try:
                return channel.get_partial_message(await way.edit(parcel))
            except Exception as error:
                self._weigh(job, error)
        mention = parcel if parcel.content else _with_ping(parcel, self._ping(job, job.user_id))
        try:
            sent = await send(channel, mention, nonce=job.id, reply_to=self._reference(job))
        except Exception as error:
            meaning = self._weigh(job, error)
            raise JobFailed(NO_WAY.get(meaning, "delivery.gone")) from error
        return channel.get_partial_message(sent.id)

    def _weigh(self, job: Job, error: Exception) -> Refusal:
        """Return if another way may be open; raise for what no other way mends."""
        meaning = refusal(error)
        match meaning:
            case None:
                raise error
            case Refusal.TOO_LARGE:
                raise _TooLarge from error
            case Refusal.TRANSIENT:
                raise _Away(_short(error)) from error
            case Refusal.REJECTED:
                log.error("job %s: Discord rejects the message: %s", job.id, _short(error))
            case _:
                log.info("job %s: one way is closed: %s", job.id, _short(error))
        return meaning

    async def _invite(self, job: Job, message: discord.PartialMessage) -> None:
        for emoji in (SAME_SEED, NEW_SEED):
            try:
                await message.add_reaction(emoji)
            except Exception as error:
                if refusal(error) is None:
                    raise
                log.info("job %s: no reaction added: %s", job.id, _short(error))
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
        self, say: Say, job: Job, images: tuple[ImageRecord, ...], limit: int
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

    # Small things

    def _status(self, job: Job, progress: Progress) -> discord.Embed:
        return status_embed(self._texts.speaker(job.locale), job, progress)

    def _ping(self, job: Job, user_id: int) -> str:
        return self._texts.speaker(job.locale)("reroll.ping", user=user_id)

    def _channel(self, job: Job) -> discord.PartialMessageable:
        if job.channel_id is None:
            raise JobFailed("delivery.gone")
        return self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

    def _channel_post(self, job: Job) -> ChannelPost | None:
        if job.message_id is None:
            return None
        return ChannelPost(self._channel(job).get_partial_message(job.message_id))

    def _reference(self, job: Job) -> discord.MessageReference | None:
        if job.reply_to is None or job.channel_id is None:
            return None
        return discord.MessageReference(
            message_id=job.reply_to, channel_id=job.channel_id, fail_if_not_exists=False
        )


class _TooLarge(Exception):
    """Discord refused the files' size."""


class _Away(Exception):
    """Discord cannot be reached at present."""


def _with_ping(parcel: Parcel, ping: str) -> Parcel:
    """A new message has no command above it that says whose it is."""
    return Parcel(
        embed=parcel.embed,
        content=ping,
        uploads=parcel.uploads,
        alt_text=parcel.alt_text,
        mention=parcel.mention,
    )


def _short(error: BaseException) -> str:
    """One line without what a message body may quote."""
    if isinstance(error, discord.HTTPException):
        return f"{type(error).__name__} {error.status} (code {error.code})"
    return type(error).__name__
