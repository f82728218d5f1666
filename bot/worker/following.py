"""Following: lets callers in this process watch single jobs as they progress and end."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from bot.progress import Progress
from bot.store import Job
from bot.worker.observers import JobObserver

LATEST_MAX: Final = 256
"""Jobs whose last report is kept, with its preview; the oldest goes first. Nobody is told when one
ends without a word, because another copy of the bot has answered."""


class Feed:
    """What is new about one job. Reports that no one has waited for are replaced by later ones."""

    def __init__(self) -> None:
        self._latest: Progress | None = None
        self._ended = False
        self._changed = asyncio.Event()

    async def next(self) -> Progress | None:
        """Wait for the next report; None once the job has ended."""
        await self._changed.wait()
        latest, self._latest = self._latest, None
        if not self._ended:
            self._changed.clear()
        return latest

    def report(self, progress: Progress) -> None:
        self._latest = progress
        self._changed.set()

    def end(self) -> None:
        self._latest, self._ended = None, True
        self._changed.set()


class Following:
    """A JobObserver that passes everything on to `teller`, and keeps followers up to date.

    Followers hear of a job's end once `teller` has handled it.
    """

    def __init__(self, teller: JobObserver) -> None:
        self._teller = teller
        self._feeds: defaultdict[str, list[Feed]] = defaultdict(list)
        self._latest: dict[str, Progress] = {}

    @contextmanager
    def follow(self, job_id: str) -> Iterator[Feed]:
        """The job's feed from now on. It may have ended before, which only the store knows."""
        feed = Feed()
        self._feeds[job_id].append(feed)
        try:
            yield feed
        finally:
            self._feeds[job_id].remove(feed)
            if not self._feeds[job_id]:
                del self._feeds[job_id]

    def latest(self, job_id: str) -> Progress | None:
        """The last report about a job that runs; None if it does not."""
        return self._latest.get(job_id)

    def moved(self, places: dict[str, Progress]) -> None:
        self._teller.moved(places)
        for job_id in self._latest.keys() & places.keys():
            del self._latest[job_id]  # it waits again
        for job_id in self._feeds.keys() & places.keys():
            self._report(job_id, places[job_id])

    def progressed(self, job: Job, progress: Progress) -> None:
        self._teller.progressed(job, progress)
        if progress.preview is None and (before := self._latest.get(job.id)) is not None:
            # The last preview stays until there is a newer one of the same image.
            preview = before.preview if before.image == progress.image else None
            progress = replace(progress, preview=preview)
        self._latest.pop(job.id, None)
        self._latest[job.id] = progress
        if len(self._latest) > LATEST_MAX:
            del self._latest[next(iter(self._latest))]
        self._report(job.id, progress)

    async def finished(self, job: Job) -> None:
        try:
            await self._teller.finished(job)
        finally:
            self._end(job.id)

    async def failed(self, job: Job) -> None:
        try:
            await self._teller.failed(job)
        finally:
            self._end(job.id)

    def _report(self, job_id: str, progress: Progress) -> None:
        for feed in self._feeds.get(job_id, ()):
            feed.report(progress)

    def _end(self, job_id: str) -> None:
        self._latest.pop(job_id, None)
        for feed in self._feeds.get(job_id, ()):
            feed.end()
