"""What a result and a failure are shown as: the content of their messages."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import discord

from bot.chat.delivery import direct
from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.posts import MessageContent, mention
from bot.chat.delivery.uploads import Upload, may_pass, uploads_of
from bot.chat.delivery.verdict import verdict
from bot.chat.ui.actions import DIRECT, Rows, rows_below
from bot.chat.ui.buttons import failed_view
from bot.chat.ui.described import described_layout
from bot.chat.ui.messages import failure_embed, sentences
from bot.chat.ui.result import result_layout
from bot.errors import JobFailed
from bot.files.inputs import picture_path
from bot.files.thumbnails import small
from bot.levels import Levels
from bot.request import DESCRIBER, GenerationRequest, cells
from bot.store import (
    Discord,
    ImageRecord,
    Job,
    Store,
    files_unread,
    shown_images,
    shown_warnings,
)
from bot.texts.language import Say, Texts
from catalog import LiveCatalog

log = logging.getLogger(__name__)

PICTURE: Final = "described.webp"
"""The name of the attachment with what was described."""
SPOILER: Final = "SPOILER_"
"""What the name of a file begins with that is blurred (docs, resources/message)."""


class Results:
    """Builds them from the store, the catalog and the files.

    images_dir: where these are. direct: whether people may use the bot in direct messages.
    inputs_dir: where input images are; None: what was described is not shown.
    """

    def __init__(
        self,
        store: Store,
        texts: Texts,
        catalog: LiveCatalog,
        images_dir: Path,
        gate: AgeGate,
        levels: Levels,
        *,
        direct: bool = False,
        inputs_dir: Path | None = None,
    ) -> None:
        self._store = store
        self._texts = texts
        self._catalog = catalog
        self._images_dir = images_dir
        self._inputs_dir = inputs_dir
        self._gate = gate
        self._direct = direct
        self._levels = levels

    async def result(self, job: Job, limit: int) -> MessageContent:
        """A finished job. limit: bytes per file.

        Raises JobFailed if its files are gone, OSError if they may be read later.
        """
        origin = Discord.of(job.origin)
        say = self._texts.speaker(origin.locale)
        every = await self._store.images(job.id)
        uploads, build = await self._shown(job, say, limit, every, shown_images(job, every))
        compact = (await self._levels.rules_of(origin)).compact
        layout = partial(build, compact=compact)
        in_direct = not await self._gate.concerns(job)
        publish = origin.guild_id is not None and not origin.absent
        below = partial(rows_below, job.request, hidden=origin.hidden, compact=compact)
        shown, in_private = below(publish=publish), below(publish=False)
        return MessageContent(
            layout=lambda heading: layout(heading=heading, actions=shown),
            text=mention(origin.user_id) if origin.says_whose else None,
            uploads=uploads,
            mention=origin.user_id,
            direct=direct.instead(say, origin) if in_direct else None,
            notice=direct.notice(say, origin),
            direct_layout=lambda heading: layout(
                heading=heading, actions=in_private if self._direct else DIRECT
            ),
        )

    async def opened(
        self, job: Job, say: Say, limit: int, actions: Rows, notes: Sequence[str] = ()
    ) -> MessageContent:
        """A finished job shown once more, to someone who reads `say`, with the files that are left.

        actions: the buttons below. notes: sentences to add. Raises as `result`.
        """
        every = await self._store.images(job.id)
        there = [image for image in shown_images(job, every) if image.pruned_at is None]
        uploads, layout = await self._shown(job, say, limit, every, there, notes)
        return MessageContent(
            layout=lambda heading: layout(heading=heading, actions=actions), uploads=uploads
        )

    async def _shown(
        self,
        job: Job,
        say: Say,
        limit: int,
        every: Sequence[ImageRecord],
        there: Sequence[ImageRecord],
        more: Sequence[str] = (),
    ) -> tuple[Sequence[Upload], Callable[..., discord.ui.LayoutView]]:
        """The attachments, and what builds the message of them.

        every: all images of the job. there: those of its result whose files are shown.
        """
        if job.request.describe is not None:
            return await self._described(job, say, more)
        origin = Discord.of(job.origin)
        images = shown_images(job, every)
        try:
            uploads, remarks = await asyncio.to_thread(
                uploads_of, there, self._images_dir, limit, say
            )
        except (OSError, ValueError) as error:
            if may_pass(error):
                raise files_unread(self._images_dir, error) from error
            log.error("job %s: its files cannot be read (%s)", job.id, type(error).__name__)
            raise JobFailed("delivery.files_gone") from error
        warnings = shown_warnings(job)
        if job.kind == "reroll":
            notes = await verdict(self._store, say, job, images, warnings)
        else:
            notes = sentences(say, warnings)
        return uploads, partial(
            result_layout,
            say,
            job,
            images,
            files=[upload.name for upload in uploads],
            model=self._catalog.current.models.get(job.request.model),
            upscaler=self._upscaler(job.request),
            cells=[
                cell
                for cell in cells(job.request)
                if any(image.n == cell.n and image.pruned_at is None for image in every)
            ],
            notes=[*notes, *remarks, *more],
            spoiler=origin.spoiler,
        )

    async def _described(
        self, job: Job, say: Say, more: Sequence[str]
    ) -> tuple[Sequence[Upload], Callable[..., discord.ui.LayoutView]]:
        """The same for the words for an image, which is shown small beside them."""
        if job.words is None:
            raise JobFailed("delivery.files_gone")
        uploads = []
        if job.request.describe is not None and self._inputs_dir is not None:
            path = picture_path(self._inputs_dir, job.request.describe.sha256)
            try:
                uploads = [Upload(PICTURE, await asyncio.to_thread(small, path))]
            except (OSError, SyntaxError, ValueError) as error:
                log.info("job %s: shown without its image (%s)", job.id, type(error).__name__)
        origin = Discord.of(job.origin)
        if uploads and origin.spoiler:
            uploads = [replace(uploads[0], name=SPOILER + uploads[0].name)]
        recipe = job.recipe
        return uploads, partial(
            described_layout,
            say,
            job,
            files=[upload.name for upload in uploads],
            name=recipe.describer.name if recipe and recipe.describer else DESCRIBER,
            notes=[*sentences(say, shown_warnings(job)), *more],
            spoiler=origin.spoiler,
        )

    def _upscaler(self, request: GenerationRequest) -> str | None:
        """The name of what enlarged it."""
        if request.upscale is None:
            return None
        entry = self._catalog.current.upscalers.entries.get(request.upscale.upscaler)
        return entry.name if entry else request.upscale.upscaler

    async def failure(self, job: Job) -> MessageContent:
        """A job that failed or was cancelled."""
        origin = Discord.of(job.origin)
        say = self._texts.speaker(origin.locale)
        gated = await self._gate.concerns(job)
        hidden = await self._gate.objection(job) is not None
        family = self._catalog.current.family_of(job.request.model)
        return MessageContent(
            text=mention(origin.user_id) if origin.says_whose else None,
            embed=failure_embed(say, job, hidden=hidden),
            # What is hidden may not be asked for there any more.
            view=None if hidden else failed_view(say, job, family),
            mention=origin.user_id,
            # Of an image that may only be posted there, its person would learn nothing otherwise.
            direct=direct.instead(say, origin) if gated or direct.is_news(job) else None,
            direct_embed=failure_embed(say, job, hidden=True) if gated else None,
        )
