"""Observers: notified of what happens to jobs."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol

from bot.progress import Progress
from bot.store import Job, Store

log = logging.getLogger(__name__)


class JobObserver(Protocol):
    """Is notified about every job. `moved` and `progressed` must return at once."""

    def moved(self, places: dict[str, Progress]) -> None:
        """The queue has changed; `places` are of waiting jobs, by id. In a long queue, they come
        in several calls."""

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


class ByOrigin:
    """A JobObserver that passes each job to the one that answers for its origin.

    tellers: by the name of the origin. otherwise: for the jobs of all others.
    """

    def __init__(self, tellers: Mapping[str, JobObserver], otherwise: JobObserver) -> None:
        self._tellers = dict(tellers)
        self._otherwise = otherwise

    def pass_on(self, origin: str, teller: JobObserver) -> None:
        """From now on, pass that origin's jobs to `teller`."""
        self._tellers[origin] = teller

    def moved(self, places: dict[str, Progress]) -> None:
        for teller in self._tellers.values():
            teller.moved(places)

    def progressed(self, job: Job, progress: Progress) -> None:
        self._of(job).progressed(job, progress)

    async def finished(self, job: Job) -> None:
        await self._of(job).finished(job)

    async def failed(self, job: Job) -> None:
        await self._of(job).failed(job)

    def _of(self, job: Job) -> JobObserver:
        return self._tellers.get(job.origin.name, self._otherwise)


class Kept:
    """A JobObserver for jobs whose files stay where they are."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def moved(self, places: dict[str, Progress]) -> None: ...

    def progressed(self, job: Job, progress: Progress) -> None: ...

    async def finished(self, job: Job) -> None:
        if await self._store.deliver(job):
            log.info("job %s: kept in the images folder", job.id)

    async def failed(self, job: Job) -> None:
        await self._store.tell(job)
