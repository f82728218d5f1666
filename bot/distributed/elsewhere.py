"""Elsewhere: what a running bot has of the machines that work for it, in one object.

Neither SAQ nor the client for the broker is imported with this module, only by what it runs.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from bot.distributed.broker import Broker, broker_of
from bot.distributed.inventory import UNKNOWN, Inventory
from bot.distributed.pace import Pace
from bot.engine.hashing import HashCache
from bot.queue import JobQueue, Lane
from bot.queue.policy import Waiting
from bot.settings import Settings
from bot.store import Job
from bot.supervision import supervised
from bot.texts.language import Texts
from bot.worker.engine import ImageEngine
from bot.worker.workers import Workers
from catalog import Catalog, LiveCatalog

KEPT = 10_000
"""Jobs of which it is remembered which files they need."""


@dataclass
class Elsewhere:
    """Of one bot, see `of`. previews: seconds between two previews of an image; None for none."""

    broker: Broker
    inventory: Inventory
    catalog: LiveCatalog
    queue: JobQueue
    workers: Workers
    texts: Texts
    previews: float | None
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(
        cls,
        settings: Settings,
        catalog: LiveCatalog,
        queue: JobQueue,
        workers: Workers,
        texts: Texts,
        previews: float | None,
    ) -> Self:
        """For settings with a broker. Raises SettingsError."""
        broker = broker_of(settings)
        broker.demand_packages()
        inventory = Inventory(
            settings.models_dir.absolute(), HashCache(settings.hashes_file.absolute())
        )
        return cls(broker, inventory, catalog, queue, workers, texts, previews)

    async def run(self) -> None:
        """Have workers come and go, until cancelled."""
        from bot.distributed.roster import Roster

        roster = Roster(
            self.broker,
            QueueLanes(self.queue, self.workers),
            self.texts,
            self.pace,
            fitting=Fitting(self.inventory, self.catalog, self.queue.find),
            inventory=self.inventory,
            previews=self.previews,
        )
        keep = partial(self.inventory.keep, self.catalog)
        await asyncio.gather(
            supervised("files for workers", keep), supervised("looking for workers", roster.run)
        )


class QueueLanes:
    """See `bot.distributed.roster.Lanes`."""

    def __init__(self, queue: JobQueue, workers: Workers) -> None:
        self._queue = queue
        self._workers = workers

    def add(self, lane: Lane, engine: ImageEngine) -> None:
        self._workers.add(lane, engine)

    def drain(self, lane: Lane, *, drained: bool) -> None:
        if drained:
            self._queue.drain(lane)
        else:
            self._queue.resume(lane)

    def load(self, lane: Lane, *, loading: bool) -> None:
        self._queue.load(lane, loading=loading)

    async def remove(self, lane: Lane) -> None:
        await self._workers.remove(lane)

    def look_again(self) -> None:
        self._queue.look_again()


class Fitting:
    """Which workers have what a waiting job needs. Asked for each free lane, so it remembers.

    find: a job of the queue by its id.
    """

    def __init__(
        self, inventory: Inventory, catalog: LiveCatalog, find: Callable[[str], Job | None]
    ) -> None:
        self._inventory = inventory
        self._catalog = catalog
        self._find = find
        self._needs: dict[str, frozenset[str]] = {}
        self._of: tuple[Catalog | None, int] = None, 0

    def __call__(
        self, files: frozenset[str], lacks: frozenset[str], fetches: bool, job: Waiting
    ) -> bool:
        """files: that a worker has. lacks: that it cannot get at the moment, whatever it has said.
        fetches: whether it gets others from the bot."""
        needs = self._needs_of(job.id)
        if needs is None or not needs.isdisjoint(lacks):
            return False
        missing = needs - files
        return not missing or (fetches and all(map(self._inventory.sent, missing)))

    def _needs_of(self, job_id: str) -> frozenset[str] | None:
        """None if the files are not hashed yet, or the job has gone."""
        catalog = self._catalog.current
        # A file that has changed since is another, or not hashed yet.
        of = catalog, self._inventory.updates
        if of != self._of or len(self._needs) > KEPT:
            self._needs, self._of = {}, of
        if (known := self._needs.get(job_id)) is not None:
            return known
        job = self._find(job_id)
        if job is None:
            return None
        needs = frozenset(self._inventory.needs_of(job.request, catalog))
        if UNKNOWN in needs:
            return None
        self._needs[job_id] = needs
        return needs
