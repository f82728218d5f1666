"""Observers: notified of what happens to jobs."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from bot.progress import Progress
from bot.store import CommandLine, Job, Store

log = logging.getLogger(__name__)


class JobObserver(Protocol):
    """Is notified about every job. `moved` and `progressed` must return at once."""

    def moved(self, places: dict[str, Progress]) -> None:
        """The queue has changed; `places` are of the waiting jobs, by id."""

    def progressed(self, job: Job, progress: Progress) -> None: ...

    async def finished(self, job: Job) -> None: ...

    async def failed(self, job: Job) -> None: ...


class Observers:
    """A JobObserver that notifies all subscribers; an error in one does not affect the others."""

    def __init__(self) -> None:
        self._observers: list[JobObserver] = []

    def subscribe(self, observer: JobObserver) -> None:
        self._observers.append(observer)

    def moved(self, places: dict[str, Progress]) -> None:
        for observer in self._observers:
            try:
                observer.moved(places)
            except Exception:
                log.exception("an observer failed")

    def progressed(self, job: Job, progress: Progress) -> None:
        for observer in self._observers:
            try:
                observer.progressed(job, progress)
            except Exception:
                log.exception("an observer failed")

    async def finished(self, job: Job) -> None:
        await _all(observer.finished(job) for observer in self._observers)

    async def failed(self, job: Job) -> None:
        await _all(observer.failed(job) for observer in self._observers)


async def _all(news: Iterable[Coroutine[Any, Any, None]]) -> None:
    for outcome in await asyncio.gather(*news, return_exceptions=True):
        if isinstance(outcome, Exception):
            log.error("an observer failed", exc_info=outcome)


class KeptOrTold:
    """A JobObserver that marks the command line's jobs delivered and passes others to `teller`."""

    def __init__(self, store: Store, teller: JobObserver) -> None:
        self._store = store
        self._teller = teller

    def moved(self, places: dict[str, Progress]) -> None:
        self._teller.moved(places)

    def progressed(self, job: Job, progress: Progress) -> None:
        if not _of_command_line(job):
            self._teller.progressed(job, progress)

    async def finished(self, job: Job) -> None:
        if not _of_command_line(job):
            await self._teller.finished(job)
        elif await self._store.deliver(job):
            log.info("job %s: kept in the images folder; its caller is gone", job.id)

    async def failed(self, job: Job) -> None:
        if not _of_command_line(job):
            await self._teller.failed(job)


def _of_command_line(job: Job) -> bool:
    return isinstance(job.origin, CommandLine)
