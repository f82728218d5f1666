"""StatusBoard: keeps the messages of queued and running jobs up to date."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.pacing import Pacer
from bot.chat.delivery.posts import (
    InteractionPost,
    MessageContent,
    Post,
    mention,
)
from bot.chat.delivery.refusals import Refusal, refusal, short
from bot.chat.delivery.sender import Sender
from bot.chat.delivery.uploads import Upload
from bot.chat.ui.buttons import cancel_view
from bot.chat.ui.messages import alt_text, status_embed
from bot.errors import StoreError
from bot.log import traceback_without
from bot.progress import Progress, Stage
from bot.store import Discord, Job, Store
from bot.texts.language import Say, Texts
from bot.texts.lines import status_line

log = logging.getLogger(__name__)

EDIT_INTERVAL = 2.0
"""Seconds between two edits of one message."""
NEAR = 10
"""Positions at the front of the queue that are always shown exactly."""
DRIFT = 60
"""Seconds by which the time shown in a message may be off."""
PREVIEW = "preview.jpg"
SPOILER = "SPOILER_"
"""Blurs an attachment until someone clicks (docs, resources/message)."""
PREVIEW_REFUSED = (
    Refusal.FORBIDDEN,
    Refusal.TOO_LARGE,
    Refusal.BLOCKED,
    Refusal.UNKNOWN,
    Refusal.REJECTED,
)
"""Refusals of an edit with a preview after which it is tried without one."""
EDITS_AT_ONCE = 2
"""Concurrent edits of messages of queued jobs."""


@dataclass(slots=True)
class _Followed:
    """post: how to reach the message; None once it is unreachable. shown: its status line now.

    told: the progress it shows, including what the status line leaves out.
    preview: the latest, with its image's number. takes_previews: False once one was refused.
    """

    job: Job
    say: Say
    post: Post | None
    shown: str
    told: Progress | None = None
    pacer: Pacer = field(init=False)
    preview: tuple[int, bytes] | None = None
    takes_previews: bool = True


class StatusBoard:
    """Follows each job from its acknowledgement until `settle`."""

    def __init__(
        self,
        *,
        store: Store,
        texts: Texts,
        sender: Sender,
        gate: AgeGate,
        interval: float = EDIT_INTERVAL,
    ) -> None:
        self._store = store
        self._texts = texts
        self._sender = sender
        self._gate = gate
        self._interval = interval
        self._followed: dict[str, _Followed] = {}
        self._edits = asyncio.Semaphore(EDITS_AT_ONCE)

    def content(self, job: Job, progress: Progress, preview: bytes | None = None) -> MessageContent:
        """What the message of `job` shows at `progress`. What is no answer says whose it is.

        Without `preview`, an edit removes the one that the message shows.
        """
        origin = Discord.of(job.origin)
        say = self._texts.speaker(origin.locale)
        hidden = self._gate.hides(job)
        preview = None if hidden else preview
        shown = (SPOILER + PREVIEW if origin.spoiler else PREVIEW) if preview else None
        # An embed would show it unblurred.
        embedded = None if origin.spoiler else shown
        return MessageContent(
            embed=status_embed(say, job, progress, embedded, self._note(say, job), hidden=hidden),
            view=cancel_view(say, job.id),
            text=mention(origin.user_id) if origin.says_whose else None,
            uploads=[Upload(shown, preview)] if shown and preview else (),
            alt_text=alt_text(say("status.preview", prompt=job.request.prompt)),
        )

    def _note(self, say: Say, job: Job) -> str:
        """That the result may come as a direct message; empty where it will not."""
        origin = Discord.of(job.origin)
        if origin.hidden:
            return say("status.only_you_here" if self._gate.applies(job) else "status.only_you")
        return say("where.status") if origin.absent else ""

    def follow(self, job: Job, post: Post | None, place: Progress | None = None) -> None:
        """place: what the message shows now; None when unknown."""
        say = self._texts.speaker(Discord.of(job.origin).locale)
        shown = status_line(say, place) if place else ""
        followed = _Followed(job, say, post, shown, place)
        followed.pacer = Pacer(
            lambda progress: self._edit(followed, progress),
            self._interval,
            turn=lambda progress: self._turn(followed, progress),
        )
        self._followed[job.id] = followed

    def moved(self, places: dict[str, Progress]) -> None:
        """The queue has moved; see JobObserver."""
        for job_id, place in places.items():
            followed = self._followed.get(job_id)
            # Far back in a long queue, every tenth position is enough: each edit is a request.
            near = place.position <= NEAR or place.position % NEAR == 0
            if followed is not None and (near or _is_told_wrong(followed.told, place)):
                self.show(job_id, place)

    def show(self, job_id: str, progress: Progress) -> None:
        """Show `progress` soon, unless something newer comes first."""
        followed = self._followed.get(job_id)
        if followed is not None and followed.post is not None:
            if progress.preview is not None:
                followed.preview = (progress.image, progress.preview)
            elif followed.preview and _is_of_another_image(progress, followed.preview[0]):
                followed.preview = None
            followed.pacer.show(progress)

    def progressed(self, job: Job, progress: Progress) -> None:
        """The same of a job that runs: by then its images may have to be blurred, although they had
        not when it was accepted. Who sees its message does not change any more."""
        followed = self._followed.get(job.id)
        if followed is not None and Discord.of(job.origin).spoiler:
            origin = replace(Discord.of(followed.job.origin), spoiler=True)
            followed.job = replace(followed.job, origin=origin)
        self.show(job.id, progress)

    async def resume(self, jobs: Sequence[tuple[Job, Progress]]) -> None:
        """Follow jobs that an earlier run left in the queue, in their existing messages."""
        # Register all before awaiting: jobs that end in the meantime are then dropped by `settle`.
        for job, _ in jobs:
            self.follow(job, None)
        for job, place in jobs:
            post = await self._sender.post(job)
            if (followed := self._followed.get(job.id)) is not None:
                followed.post = post
                self.show(job.id, place)

    async def settle(self, job: Job) -> Post | None:
        """Stop editing, so that no edit overwrites the result; returns how to reach the message."""
        followed = self._followed.pop(job.id, None)
        if followed is None:
            return None
        await followed.pacer.close()
        return followed.post

    def _turn(
        self, followed: _Followed, progress: Progress
    ) -> contextlib.AbstractAsyncContextManager[object]:
        """Few messages of queued jobs are edited at once, so that they hold up nothing else."""
        waits = progress.stage is Stage.QUEUED and not _is_told(followed, progress)
        return self._edits if waits else contextlib.nullcontext()

    async def _edit(self, followed: _Followed, progress: Progress) -> None:
        if followed.post is None or _is_told(followed, progress):
            return
        try:
            await self._put(followed, followed.post, progress)
            followed.shown, followed.told = status_line(followed.say, progress), progress
        except StoreError as error:
            log.error("job %s: %s", followed.job.id, error)
        except Exception as error:
            meaning = refusal(error)
            if meaning is None:
                # Whoever supervises edits would log all of it, and it may quote a prompt.
                prompts = followed.job.request.texts
                said = traceback_without(error, prompts)
                log.error("job %s: unexpected error\n%s", followed.job.id, said)
                return
            log.info("job %s: could not update the status: %s", followed.job.id, short(error))
            if meaning not in (Refusal.TRANSIENT, Refusal.BUSY):
                followed.post = await self._other_post(followed)

    async def _put(self, followed: _Followed, post: Post, progress: Progress) -> None:
        """Edit with the latest preview, or without it if Discord refuses it."""
        job = followed.job
        if isinstance(post, InteractionPost) and not post.alive:
            followed.post = other = await self._other_post(followed)
            if other is None:
                return
            post = other
        if followed.preview and followed.takes_previews:
            try:
                await post.edit(self.content(job, progress, followed.preview[1]))
                return
            except Exception as error:
                if refusal(error) not in PREVIEW_REFUSED:
                    raise
                followed.takes_previews = False
                log.info("job %s: going on without previews: %s", job.id, short(error))
        message_id = await post.edit(self.content(job, progress))
        origin = Discord.of(job.origin)
        if origin.message_id is None and origin.channel_id is not None:
            # Discord's reply to the acknowledgement was lost, or the sending process died.
            await self._store.messages.set(job.id, origin.channel_id, message_id)
            origin = replace(Discord.of(followed.job.origin), message_id=message_id)
            followed.job = replace(followed.job, origin=origin)

    async def _other_post(self, followed: _Followed) -> Post | None:
        """An interaction expires after 15 minutes; its message is then edited in the channel."""
        if not isinstance(followed.post, InteractionPost):
            return None
        return self._sender.channel_post(await self._store.job(followed.job.id))


def _is_told(followed: _Followed, progress: Progress) -> bool:
    """Whether its message says so already."""
    if status_line(followed.say, progress) != followed.shown:
        return False
    return progress.stage is not Stage.QUEUED or not _is_told_wrong(followed.told, progress)


def _is_told_wrong(told: Progress | None, place: Progress) -> bool:
    """Whether a queued job's message is out of date in anything other than its position."""
    if told is None or (told.paused, told.resumes_at) != (place.paused, place.resumes_at):
        return True
    if told.ready_at is None or place.ready_at is None:
        return told.ready_at != place.ready_at
    if told.ready_at <= time.time() < place.ready_at:
        return True
    return abs(told.ready_at - place.ready_at) > DRIFT


def _is_of_another_image(progress: Progress, image: int) -> bool:
    return progress.stage is Stage.PAINTING and progress.image != image
