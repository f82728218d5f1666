"""Previews: paints one picture of each model and LoRA that has none, while nobody waits.

Each is a job of its own in the queue. None is asked for while anyone else's waits or runs, and one
that is asked for is withdrawn as soon as somebody asks; it is painted later.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Never

from bot.errors import StoreError, UserError
from bot.files.erasing import erase
from bot.previews.painting import Subject, request_for, subject_of, subjects
from bot.previews.pictures import Pictures, Shelf
from bot.previews.thumbnail import Unusable, opened, read
from bot.queue import JobQueue
from bot.store import ActKind, Job, JobState, NewJob, Previewing, Store
from bot.worker.following import Following
from bot.worker.image_check import Inspector, Verdict
from bot.worker.workers import Workers
from catalog import AdapterEntry, Catalog, LiveCatalog, ModelEntry, locate_entry

log = logging.getLogger(__name__)

WANTED: Final = "previews wanted"
"""The key of the store's setting that says whether they are being painted."""
QUIET: Final = 10.0
"""Seconds that nobody must have had a job in the queue, since they may go on at once."""
AGAIN: Final = 60.0
"""Seconds until it is tried again after an error, as when the database cannot be used."""


@dataclass(frozen=True, slots=True)
class Progress:
    """wanted: whether pictures are being painted. painted: since it was started. left: those still
    to be painted. failed: keys of entries of which none could be painted."""

    wanted: bool
    painted: int
    left: int
    failed: tuple[str, ...]


class Previews:
    """prompt: what every picture shows. quiet: see QUIET. clock: returns seconds, monotonic.

    Where the owner has images checked, a picture that is flagged or cannot be checked is kept only
    if it shows what is for age-restricted channels.
    """

    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        store: Store,
        queue: JobQueue,
        workers: Workers,
        inspector: Inspector,
        pictures: Pictures,
        models_dir: Path,
        images_dir: Path,
        prompt: str,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pictures = pictures
        self.following = Following(_Keeper(self))
        self._catalog = catalog
        self._store = store
        self._queue = queue
        self._workers = workers
        self._inspector = inspector
        self._models_dir = models_dir
        self._images_dir = images_dir
        self._prompt = prompt
        self._quiet = quiet
        self._clock = clock
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()
        self._busy_at = clock() - quiet
        self._current: str | None = None
        self._withdrawing: asyncio.Task[Job | None] | None = None
        self._painted = 0
        self._left = 0
        self._failed: dict[tuple[Shelf, str], None] = {}

    async def start(self, actor: str) -> None:
        """Paint what is missing from now on, also after a restart, until all are there.

        actor: the person who wants it.
        """
        await self._store.acts.change_setting(
            WANTED, "yes", kind=ActKind.PREVIEWS, actor=actor, state="started"
        )
        if not self._wanted.is_set():
            self._painted, self._left = 0, 0
        self._failed.clear()
        self._wanted.set()
        log.info("previews: started")

    async def stop(self, actor: str) -> None:
        """Paint no more; the one that is being painted is given up."""
        await self._store.acts.change_setting(
            WANTED, "", kind=ActKind.PREVIEWS, actor=actor, state="stopped"
        )
        self._wanted.clear()
        self._moved.set()
        if self._current is not None:
            await self._workers.withdraw(self._current)
        log.info("previews: stopped")

    def progress(self) -> Progress:
        wanted = self._wanted.is_set()
        failed = tuple(key for _, key in self._failed)
        return Progress(wanted, self._painted, self._left if wanted else 0, failed)

    async def run(self) -> Never:
        """Paint whenever it is wanted, until cancelled."""
        unsubscribe = self._queue.subscribe(self._queue_moved)
        try:
            while True:
                try:
                    if await self._store.setting(WANTED):
                        self._wanted.set()
                    await self._wanted.wait()
                    await self._paint_all()
                except StoreError as error:
                    log.error("previews: %s", error)
                    await asyncio.sleep(AGAIN)
                except Exception:
                    # Otherwise none would be painted until the next restart.
                    log.exception("previews: an unexpected error; trying again in %d s", AGAIN)
                    await asyncio.sleep(AGAIN)
        finally:
            unsubscribe()

    async def _paint_all(self) -> None:
        while self._wanted.is_set():
            catalog = self._catalog.current
            missing = await asyncio.to_thread(self._missing, catalog)
            self._left = len(missing)
            if not missing:
                await self._store.set_setting(WANTED, "")
                self._wanted.clear()
                log.info("previews: done, %d painted", self._painted)
                return
            for subject in missing:
                if not await self._may_paint():
                    return
                if self._catalog.current is not catalog:
                    break
                if await self._paint(subject, catalog):
                    self._left -= 1

    def _missing(self, catalog: Catalog) -> list[Subject]:
        self.pictures.tidy(
            {
                Shelf.MODELS: catalog.models.values(),
                Shelf.LORAS: catalog.adapters.values(),
            }
        )
        here = [
            model
            for model in catalog.offered_models(nsfw=True)
            if locate_entry(model, self._models_dir, catalog.lacking).available
        ]
        return [
            subject
            for subject in subjects(catalog, here)
            if (subject.shelf, subject.entry.key) not in self._failed
            and self.pictures.lacks(
                subject.shelf, subject.entry, self._prompt, checked=self._checks(subject.entry)
            )
        ]

    async def _may_paint(self) -> bool:
        """Wait until nobody has had a job for a while, and the bot is not about to stop; returns
        whether it is still wanted."""
        queue = self._queue
        while self._wanted.is_set():
            self._moved.clear()
            rest = self._busy_at + self._quiet - self._clock()
            free = len(queue) == 0 and not queue.still.now and not queue.blocked.closing
            if free and rest <= 0:
                return True
            timeout = rest if free else None
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._moved.wait()
        return False

    async def _paint(self, subject: Subject, catalog: Catalog) -> bool:
        """Whether the picture is there or never will be; not if someone else went first."""
        try:
            request = await asyncio.to_thread(request_for, subject, catalog, self._prompt)
            new = NewJob(request=request, origin=Previewing())
            with self.following.follow(new.id) as feed:
                self._current = new.id
                async with self._queue.accepting(new):
                    pass
                while await feed.next() is not None:
                    pass
        except UserError as error:
            if self._queue.blocked.closing:
                return False
            log.warning("previews: %s cannot be painted: %s", subject.entry.key, error.code)
            self._failed[subject.shelf, subject.entry.key] = None
            return True
        finally:
            self._current = None
        job = await self._store.job(new.id)
        return job.state is not JobState.CANCELLED

    def _queue_moved(self) -> None:
        queue = self._queue
        own = self._current if self._current in queue else None
        if len(queue) > (own is not None):
            self._busy_at = self._clock()
            if own and (self._withdrawing is None or self._withdrawing.done()):
                self._withdrawing = asyncio.create_task(self._workers.withdraw(own))
        self._moved.set()

    async def keep(self, job: Job) -> None:
        """Keep the picture that a job has painted, and delete the image that it is of."""
        store, images_dir = self._store, self._images_dir
        shelf, key = subject_of(job.request)
        catalog = self._catalog.current
        entries = catalog.models if shelf is Shelf.MODELS else catalog.adapters
        try:
            [image] = await store.images(job.id)
            if (entry := entries.get(key)) is None:
                raise Unusable("it is not in the catalog any more")
            data = await asyncio.to_thread(read, Path(images_dir, image.path))
            if checks := self._checks(entry):
                verdict = await self._inspector.verdict([await asyncio.to_thread(opened, data)])
                if verdict is not Verdict.CLEAN:
                    raise Unusable(f"the image check says {verdict.name.lower()}")
            keep = partial(self.pictures.keep, shelf, entry, self._prompt, data, checked=checks)
            await asyncio.to_thread(keep)
            self._painted += 1
        except (Unusable, OSError, ValueError) as error:
            log.warning("previews: the picture of %s is not kept: %s", key, error)
            self._failed[shelf, key] = None
        await store.deliver(job)
        await store.deletions.begin(job.id)
        await erase(store, images_dir, job.id)

    def _checks(self, entry: ModelEntry | AdapterEntry) -> bool:
        """Whether its picture has to be for everyone."""
        return self._inspector.of_owner != "off" and not entry.nsfw

    async def give_up(self, job: Job) -> None:
        """Note that a job has painted nothing."""
        if job.state is not JobState.CANCELLED:
            shelf, key = subject_of(job.request)
            code = job.error.code if job.error else "unknown"
            log.warning("previews: %s could not be painted: %s", key, code)
            self._failed[shelf, key] = None
        await self._store.tell(job)


class _Keeper:
    """A JobObserver for the jobs of previews."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews

    def moved(self, places: object) -> None: ...

    def progressed(self, job: Job, progress: object) -> None: ...

    async def finished(self, job: Job) -> None:
        await self._previews.keep(job)

    async def failed(self, job: Job) -> None:
        await self._previews.give_up(job)
