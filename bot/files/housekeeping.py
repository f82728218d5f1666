"""Housekeeping: erases interaction tokens, backs up daily, and deletes old images."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from bot.errors import StoreError
from bot.store import KeptImage, Store, now_ms

log = logging.getLogger(__name__)

ERASE_EVERY = 30.0
"""Seconds between two deletions of obsolete tokens."""
TIDY_EVERY = 60 * 60.0
"""Seconds between two rounds of backing up and pruning images."""
DAY_MS = 24 * 60 * 60 * 1000
GIB = 2**30

Chore = Callable[[], Awaitable[None]]


class Housekeeping:
    """images_dir: the folder of generated images.

    days, gib: for how long, and how many GiB of them, to keep; 0 is no limit.
    """

    def __init__(self, store: Store, images_dir: Path, *, days: float, gib: float) -> None:
        self._store = store
        self._images_dir = images_dir
        self._days = days
        self._gib = gib

    async def run(self) -> None:
        """Run until cancelled. Failures are logged, and retried at the next regular time."""
        await asyncio.gather(
            self._again_and_again(self._store.messages.erase_tokens, ERASE_EVERY),
            self._again_and_again(self.tidy, TIDY_EVERY),
        )

    async def tidy(self) -> None:
        """Back up, then prune, even if the backup failed."""
        try:
            if made := await self._store.back_up(datetime.now(UTC).date()):
                log.info("backup: %s", made.name)
        finally:
            await self.prune()

    async def prune(self) -> int:
        """Delete the files of old images but keep their rows. Returns how many were deleted.

        Images that are not delivered yet are never deleted.
        """
        gone = await asyncio.to_thread(self._delete_old, await self._store.kept_images())
        if gone:
            await self._store.mark_pruned(gone)
            megabytes = sum(image.bytes for image in gone) / 1_000_000
            log.info("pruned: %d images, %.1f MB", len(gone), megabytes)
        return len(gone)

    def _delete_old(self, images: list[KeptImage]) -> list[KeptImage]:
        """Delete files; returns those deleted. Paths outside `images_dir` are left alone."""
        root, gone = self._images_dir.resolve(), []
        old = choose(
            images,
            before=now_ms() - int(self._days * DAY_MS) if self._days else 0,
            limit=int(self._gib * GIB) if self._gib else None,
        )
        for image in old:
            path = (self._images_dir / image.path).resolve()
            if not path.is_relative_to(root):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.error("job %s: an image cannot be deleted: %s", image.job_id, error)
                continue
            gone.append(image)
            if path.parent != root:
                # The folder may hold other images, or may have been deleted by hand.
                with contextlib.suppress(OSError):
                    path.parent.rmdir()
        return gone

    async def _again_and_again(self, chore: Chore, seconds: float) -> None:
        while True:
            try:
                await chore()
            except StoreError as error:
                log.error("%s", error)
            except Exception:
                log.exception("a housekeeping task failed")
            await asyncio.sleep(seconds)


def choose(images: list[KeptImage], *, before: int, limit: int | None) -> list[KeptImage]:
    """Which of `images`, oldest first, to delete: those older than `before` (ms), and then the
    oldest until no more than `limit` bytes are left."""
    total = sum(image.bytes for image in images)
    chosen = []
    for image in images:
        too_much = limit is not None and total > limit
        if image.ended_at >= before and not too_much:
            break
        if image.deletable:
            chosen.append(image)
            total -= image.bytes
    return chosen
