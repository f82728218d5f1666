"""Several observers of the jobs as one."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from bot.progress import Progress
from bot.store import Job
from bot.worker.consumer import JobObserver

log = logging.getLogger(__name__)


class Observers:
    """A JobObserver that tells each of several; none suffers from another's fault."""

    def __init__(self, observers: Sequence[JobObserver]) -> None:
        self._observers = observers

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
