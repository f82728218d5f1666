"""Desk: takes requests from callers over HTTP, and answers for their jobs.

Every interface (the original one, OpenAI's, AUTOMATIC1111's) stands on it.
"""

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from bot.api.bodies import aside
from bot.api.callers import Callers
from bot.api.describing import asked_seeds
from bot.api.errors import NotFound, NotReady, Pruned, TooManyCalls
from bot.asking import composed
from bot.backend import Backend
from bot.errors import AskedBefore, InvalidRequest
from bot.files.given import Keep, holding
from bot.files.inputs import MASK
from bot.files.metadata import read_png
from bot.progress import Progress
from bot.recipe import Recipe
from bot.request import AWAITED, AnyDraft, GenerationRequest, Picture, kind_of
from bot.store import (
    Api,
    ApiKey,
    ImageRecord,
    Job,
    JobState,
    NewJob,
    cell_of_image,
    files_error,
    given_images,
)
from bot.worker.following import Feed, Following
from bot.worker.workers import Workers

log = logging.getLogger(__name__)

UPLOADS_MAX: Final = 2**30
"""Bytes of input images that one key may upload in an hour."""
FOLLOWING_MAX: Final = 64
"""Calls of one key that wait for a job at once."""

ENDED: Final = (JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED)

_ADDED: Final = (
    *("variation", "mask", "extend", "control", "control_images"),
    *("inpaint_area", "inpaint_padding", "detail", "other_types", "tile"),
)
"""Fields of a draft that came after its digests were first kept."""

Given = bytes | str
"""An input image: the file itself, or the sha256 of one that was uploaded before."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job that was accepted, or had been before. place: None if it is no longer in the queue."""

    job: Job
    place: Progress | None


class Desk:
    """backend, workers: of this process. following: observes the jobs of callers over HTTP."""

    def __init__(
        self, backend: Backend, workers: Workers, following: Following, callers: Callers
    ) -> None:
        self.backend = backend
        self._workers = workers
        self._following = following
        self._callers = callers
        self._waiting: Counter[str] = Counter()
        self._images_dir = backend.settings.images_dir.absolute()

    async def accept(
        self,
        caller: ApiKey,
        draft: AnyDraft,
        pictures: Mapping[str, Given] | None = None,
        repeat_key: str | None = None,
        *,
        counted: bool = False,
    ) -> Accepted:
        """Accept a job; with the `repeat_key` of an earlier one, that one.

        pictures: for the draft's fields of images, by their names. counted: whether the call
        counts towards the key's rate already.
        Raises InvalidRequest, Refused, StoreError, TooManyCalls, or AskedBefore if something else
        was asked for with the same `repeat_key`.
        """
        pictures = pictures or {}
        size = sum(map(len, pictures.values()))
        asked = await aside(size, _digest, draft, pictures) if repeat_key is not None else None
        origin = Api(
            key_id=caller.id,
            repeat_key=repeat_key,
            asked=asked,
            daily=caller.daily,
            priority=caller.priority,
        )
        try:
            if repeat_key is not None:
                # A limit that was reached since must not hide the job.
                await self.backend.store.check_new(origin)
            if not counted:
                self._callers.count(caller)
            return await self._accept(caller, draft, pictures, origin)
        except AskedBefore as before:
            if not before.same:
                raise
            job = await self.backend.store.job(before.job_id)
            return Accepted(job, await self.progress(job))

    async def _accept(
        self, caller: ApiKey, draft: AnyDraft, pictures: Mapping[str, Given], origin: Api
    ) -> Accepted:
        backend = self.backend
        # The request is checked and has its place before an image is decoded for it.
        promised = dict.fromkeys(pictures, AWAITED)
        found = await composed(draft.with_pictures(promised), backend, nsfw=caller.nsfw)
        new = NewJob(
            request=found.request, origin=origin, kind=kind_of(draft), warnings=found.notes
        )
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(backend.queue.reserving(new))
            if pictures:
                keep = await stack.enter_async_context(holding(backend.store, backend.inputs))
                kept = {
                    field: await self._picture(caller, field, given, keep)
                    for field, given in pictures.items()
                }
                found = await composed(draft.with_pictures(kept), backend, nsfw=caller.nsfw)
                new = replace(new, request=found.request, warnings=found.notes)
            async with backend.queue.accepting(new) as ticket:
                pass
        log.info("job %s: asked for over HTTP by %s", ticket.job.id, caller.name)
        return Accepted(ticket.job, ticket.place)

    async def upload(self, caller: ApiKey, data: bytes, field: str = "image") -> Picture:
        """Keep an input image for requests to come, of this caller only.

        Raises InvalidRequest, StoreError, TooManyCalls.
        """
        self._callers.count(caller)
        inputs, uploads = self.backend.inputs, self.backend.store.uploads
        if await uploads.bytes(caller.id) >= UPLOADS_MAX:
            raise TooManyCalls("api.uploads", limit=UPLOADS_MAX // 2**20)
        sha256 = await self._kept(inputs.keep(data, field, hold=True))
        try:
            path, inspector = inputs.path(sha256), self.backend.inspector
            await inspector.check_input(inspector.of_owner, path, field)
            size = (await asyncio.to_thread(path.stat)).st_size
            await uploads.add(caller.id, sha256, size)
            return Picture(sha256, *await inputs.size(sha256))
        finally:
            inputs.let_go(sha256)

    async def _kept(self, keeping: Awaitable[str]) -> str:
        try:
            return await keeping
        except OSError as error:
            raise files_error(self.backend.settings.inputs_dir, error) from error

    async def job(self, caller: ApiKey, job_id: str) -> Job:
        """Raises NotFound, for another caller's job too."""
        job = await self.backend.store.find(job_id)
        if job is None or not isinstance(job.origin, Api):
            raise NotFound("api.job.unknown")
        if job.origin.key_id != caller.id and not caller.admin:
            raise NotFound("api.job.unknown")
        return job

    async def cancel(self, caller: ApiKey, job_id: str) -> Job:
        """Cancel a job, which may end a step later; one that has ended stays as it is."""
        job = await self.job(caller, job_id)
        return await self._workers.withdraw(job.id) or await self.backend.store.job(job.id)

    async def unfinished(self, caller: ApiKey) -> tuple[Job, ...]:
        """The caller's own jobs that run or wait, in the order expected."""
        jobs = (ticket.job for ticket in await self.backend.queue.standings())
        return tuple(
            job for job in jobs if isinstance(job.origin, Api) and job.origin.key_id == caller.id
        )

    async def progress(self, job: Job) -> Progress | None:
        """Where a job is that waits or runs; None if it has ended."""
        if (latest := self._following.latest(job.id)) is not None:
            return latest
        ticket = await self.backend.queue.standing(job.id)
        return ticket.place if ticket else None

    @asynccontextmanager
    async def following(self, caller: ApiKey, job_id: str) -> AsyncIterator[tuple[Job, Feed]]:
        """The job as it is now, and its feed from before that. Raises NotFound, TooManyCalls."""
        self.check_following(caller)
        self._waiting[caller.id] += 1
        try:
            with self._following.follow(job_id) as feed:
                job = await self.job(caller, job_id)
                if job.state in ENDED:
                    feed.end()
                yield job, feed
        finally:
            self._waiting[caller.id] -= 1
            if not self._waiting[caller.id]:
                del self._waiting[caller.id]

    def check_following(self, caller: ApiKey) -> None:
        """Raise TooManyCalls if the caller waits for too many jobs already."""
        if self._waiting[caller.id] >= FOLLOWING_MAX:
            raise TooManyCalls("api.following", limit=FOLLOWING_MAX)

    async def wait(self, caller: ApiKey, job_id: str, seconds: float | None = None) -> Job:
        """Wait for the job's end, at most so long if that is said; returns it as it is then."""
        async with self.following(caller, job_id) as (job, feed):
            try:
                async with asyncio.timeout(seconds):
                    while await feed.next() is not None:
                        pass
            except TimeoutError:
                return await self.job(caller, job.id)
        return await self.job(caller, job_id)

    async def images(self, job: Job) -> tuple[ImageRecord, ...]:
        if job.state not in ENDED:
            return ()
        return given_images(job, await self.backend.store.images(job.id))

    async def image(
        self, caller: ApiKey, job_id: str, n: int | None = None
    ) -> tuple[Job, ImageRecord, Path]:
        """The job's image `n`, counted from 1, and its file; by default the first, or the sheet of
        a comparison. Raises NotFound, NotReady, Pruned."""
        job = await self.job(caller, job_id)
        if job.state not in ENDED:
            raise NotReady("api.image.not_ready")
        images = await self.images(job)
        if n is None:
            image = next(iter(images), None)
        else:
            image = next((image for image in images if image.n == n - 1), None)
        if image is None:
            raise _no_image(job, 1 if n is None else n, len(images))
        path = self._images_dir / image.path
        if image.pruned_at is not None or not await asyncio.to_thread(path.is_file):
            cell = cell_of_image(job.request, image.n)
            raise _pruned(cell.request if cell else job.request, image.seed)
        return job, image, path

    async def recipe(self, job: Job, image: ImageRecord) -> Recipe | None:
        """How an image of the job was generated; of a comparison's cell, its file says so."""
        if cell_of_image(job.request, image.n) is None:
            return job.recipe
        path = self._images_dir / image.path
        try:
            return (await asyncio.to_thread(lambda: read_png(path.read_bytes()))).recipe
        except (OSError, ValueError):
            return None

    async def _picture(self, caller: ApiKey, field: str, given: Given, keep: Keep) -> Picture:
        inputs = self.backend.inputs
        if isinstance(given, bytes):
            sha256 = await self._kept(keep(given, field))
            inspector = self.backend.inspector
            await inspector.check_input(inspector.of_owner, inputs.path(sha256), field)
        elif await self.backend.store.uploads.usable(caller.id, given):
            sha256 = given
        else:
            raise InvalidRequest(field, "api.picture.unknown", value=given[:80])
        try:
            # Kept as a picture, it has lost what was transparent in it: its brightness would count.
            if field == MASK and not await inputs.is_mask(sha256):
                raise InvalidRequest(field, "api.picture.not_mask")
            return Picture(sha256, *await inputs.size(sha256))
        except (OSError, ValueError):
            raise InvalidRequest(field, "api.picture.unknown", value=sha256[:80]) from None


def _no_image(job: Job, n: int, count: int) -> NotFound:
    """The error for an image that the job has not got. n: counted from 1. count: those it has."""
    if count and (cell := cell_of_image(job.request, n - 1)) is not None:
        return NotFound("compare.cell_failed", values=" · ".join(cell.values))
    return NotFound("api.image.unknown", value=n, count=count)


def _pruned(request: GenerationRequest, seed: int) -> Pruned:
    """The error for the image with this seed, which says how to generate it again."""
    varied = request.variation is not None
    code = "api.image.pruned_variation" if varied else "api.image.pruned"
    return Pruned(code, **asked_seeds(request, seed))


def _digest(draft: AnyDraft, pictures: Mapping[str, Given]) -> str:
    """Tells whether the same is asked for again. Takes long if images are large.

    Kept with jobs, so a draft without what later versions have added has the one it ever had.
    """
    named = {
        field: hashlib.sha256(given).hexdigest() if isinstance(given, bytes) else given
        for field, given in pictures.items()
    }
    values = asdict(draft)
    options = values.get("draft", values)  # a comparison has them within
    for name in _ADDED:
        if name in options and options[name] in (None, ()):
            del options[name]
    text = json.dumps([values, named], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
