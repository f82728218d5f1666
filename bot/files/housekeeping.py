"""Housekeeping: erases interaction tokens, backs up daily, and deletes old images."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import merge
from itertools import takewhile
from operator import attrgetter
from pathlib import Path

from bot.errors import StoreError
from bot.files.erasing import erase_rest
from bot.files.inputs import Inputs
from bot.files.pruning import Kept, KeptInput, Pruning, kept_inputs
from bot.files.thumbnails import prune_thumbnails, thumbnail_of
from bot.progress import Progress
from bot.store import Job, JobState, KeptImage, Store, now_ms

log = logging.getLogger(__name__)

ERASE_EVERY = 30.0
"""Seconds between two deletions of obsolete tokens."""
TIDY_EVERY = 60 * 60.0
"""Seconds between two rounds of backing up and pruning images."""
DAY_MS = 24 * 60 * 60 * 1000
GIB = 2**30

Chore = Callable[[], Awaitable[object]]


class Housekeeping:
    """images_dir: the folder of generated images. inputs: the input images.

    days, gib: for how long, and how many GiB of both together, to keep; 0 is no limit.
    history_days: for how long to keep requests; 0 is no limit. outdated: erases those from before a
    time, in ms. by_community: the days for which the images of some servers are kept, if shorter.
    """

    def __init__(
        self,
        store: Store,
        images_dir: Path,
        inputs: Inputs,
        *,
        days: float,
        gib: float,
        history_days: int = 0,
        outdated: Callable[[int], Awaitable[int]] | None = None,
        by_community: Callable[[], Awaitable[Mapping[str, float]]] | None = None,
    ) -> None:
        self._store = store
        self._images_dir = images_dir
        self._inputs = inputs
        self._days = days
        self._gib = gib
        self._history_days = history_days
        self._outdated = outdated
        self._by_community = by_community

    async def run(self) -> None:
        """Run until cancelled. Failures are logged, and retried at the next regular time."""
        await asyncio.gather(
            self._again_and_again("tokens", self._store.messages.erase_tokens, ERASE_EVERY),
            self._again_and_again("tidying", self.tidy, TIDY_EVERY),
        )

    async def tidy(self) -> None:
        """Finish deletions, forget old forms and jobs, back up, then prune.

        One that fails is logged, and the others are done all the same.
        """
        chores: dict[str, Chore] = {
            "deletions": self._erase_rest,
            "old forms": self._store.forms.drop_old,
            "old jobs": self._drop_outdated,
            "thumbnails": self._prune_thumbnails,
            "backup": self._back_up,
            "old images": self.prune,
        }
        for what, chore in chores.items():
            await _attempt(what, chore)

    async def _erase_rest(self) -> None:
        await erase_rest(self._store, self._images_dir)

    async def _prune_thumbnails(self) -> None:
        await asyncio.to_thread(prune_thumbnails, self._images_dir)

    async def _back_up(self) -> None:
        if made := await self._store.back_up(datetime.now(UTC).date()):
            log.info("backup: %s", made.name)

    async def _drop_outdated(self) -> None:
        if not self._history_days or self._outdated is None:
            return
        count = await self._outdated(now_ms() - self._history_days * DAY_MS)
        if count:
            log.info("no longer kept: %d jobs", count)

    async def _prune_communities(self) -> list[Kept]:
        """Delete the images of servers that keep them for a shorter time."""
        gone: list[Kept] = []
        if self._by_community is None:
            return gone
        for community, days in (await self._by_community()).items():
            before = now_ms() - int(days * DAY_MS)
            while page := await self._store.kept_images.of_community(community, before):
                deleted = await self._delete(page)
                gone += deleted
                if len(deleted) < len(page):
                    break  # what cannot be deleted would come again
        return gone

    async def prune(self) -> int:
        """Delete the files of old images but keep their rows. Returns how many were deleted.

        What is not delivered yet, and what it is made from, is never deleted. What people keep of
        their own goes last.
        """
        files = await self._inputs.stored()
        uses = await self._store.input_uses.of_all({file.sha256 for file in files})
        inputs = await asyncio.to_thread(kept_inputs, files, uses, now_ms())
        gone = await self._delete([kept for kept in inputs if kept.unused])
        gone += await self._prune_communities()
        left = deque(kept for kept in inputs if not kept.unused)
        total = await self._store.kept_images.bytes() + sum(kept.bytes for kept in left)
        limit = int(self._gib * GIB) if self._gib else None
        before = now_ms() - int(self._days * DAY_MS) if self._days else 0
        pruning = Pruning(total, before=before, limit=limit)
        async for page in self._store.kept_images.pages():
            older = [left.popleft() for _ in _until(page[-1].ended_at, left)]
            gone += await self._delete(
                pruning.choose(merge(page, older, key=attrgetter("ended_at")))
            )
            if pruning.done:
                break
        if not pruning.done:
            gone += await self._delete(pruning.choose(left))
        gone += await self._prune_favourites(pruning.left, limit)
        if gone:
            megabytes = sum(kept.bytes for kept in gone) / 1_000_000
            log.info("pruned: %d images, %.1f MB", len(gone), megabytes)
        return len(gone)

    async def _prune_favourites(self, total: int, limit: int | None) -> list[Kept]:
        """What people keep of their own goes only if nothing else is left, whatever its age.

        total: bytes of all that is left.
        """
        gone: list[Kept] = []
        if limit is None or total <= limit:
            return gone
        pruning = Pruning(total, before=0, limit=limit)
        async for page in self._store.kept_images.pages(favourites=True):
            gone += await self._delete(pruning.choose(page))
            if pruning.done:
                break
        return gone

    async def _delete(self, chosen: Sequence[Kept]) -> list[Kept]:
        """Delete the files; returns those that are gone."""
        images = [kept for kept in chosen if isinstance(kept, KeptImage)]
        gone = await asyncio.to_thread(self._delete_images, images)
        if gone:
            await self._store.kept_images.mark_pruned(gone)
        inputs = [kept for kept in chosen if isinstance(kept, KeptInput)]
        return [*gone, *[kept for kept in inputs if await self._drop(kept)]]

    async def _drop(self, kept: KeptInput) -> bool:
        try:
            return await self._inputs.drop(kept.file.name, kept.file.given_at)
        except OSError as error:
            log.error("%s: an input image cannot be deleted: %s", kept.file.name, error)
            return False

    def _delete_images(self, images: list[KeptImage]) -> list[KeptImage]:
        """Delete files; returns those deleted. Paths outside `images_dir` are left alone."""
        root, gone = self._images_dir.resolve(), []
        for image in images:
            path = (self._images_dir / image.path).resolve()
            if not path.is_relative_to(root):
                continue
            try:
                path.unlink(missing_ok=True)
                thumbnail_of(self._images_dir, image.job_id, image.n).unlink(missing_ok=True)
            except OSError as error:
                log.error("job %s: an image cannot be deleted: %s", image.job_id, error)
                continue
            gone.append(image)
            if path.parent != root:
                # The folder may hold other images, or may have been deleted by hand.
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
        return gone

    async def _again_and_again(self, what: str, chore: Chore, seconds: float) -> None:
        while True:
            await _attempt(what, chore)
            await asyncio.sleep(seconds)


async def _attempt(what: str, chore: Chore) -> None:
    try:
        await chore()
    except StoreError as error:
        log.error("housekeeping, %s: %s", what, error)
    except Exception:  # not a cancellation: by then the store may be closed
        log.exception("housekeeping, %s: failed", what)


def _until(time: int, left: Sequence[KeptInput]) -> Iterable[KeptInput]:
    """The first of them, oldest first, that are no younger than `time`, in ms."""
    return list(takewhile(lambda kept: kept.ended_at <= time, left))


class InputsOfCancelled:
    """A JobObserver that deletes the input images of cancelled jobs at once.

    Otherwise anyone could fill the disk by asking and cancelling again and again.
    """

    def __init__(self, store: Store, inputs: Inputs) -> None:
        self._store = store
        self._inputs = inputs

    def moved(self, places: dict[str, Progress]) -> None: ...

    def progressed(self, job: Job, progress: Progress) -> None: ...

    async def finished(self, job: Job) -> None: ...

    async def failed(self, job: Job) -> None:
        if job.state is not JobState.CANCELLED:
            return
        for sha256 in job.request.inputs:
            use = await self._store.input_uses.of(sha256)
            if use is None or use.wanted:
                continue
            # Given again since this job was accepted, it belongs to another that is not stored yet.
            if await self._inputs.drop(self._inputs.path(sha256).name, job.created_at):
                log.info("job %s: cancelled, and its input image deleted", job.id)
