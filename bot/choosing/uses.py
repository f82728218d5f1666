"""Uses: what people used, read from the store once and kept up to date as jobs are accepted."""

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.choosing.ranking import ADAPTER, MODEL, Kind
from bot.choosing.record import Record
from bot.errors import StoreError
from bot.store import Job, Store
from bot.store.uses import PAGE, Use, use_of

log = logging.getLogger(__name__)

PEOPLE_MAX: Final = 2_000
"""People who are remembered; those who asked for nothing for longest are read again."""
JOBS_MAX: Final = 500
"""Latest jobs of a person that count for the order of choices."""
DAY_MS: Final = 24 * 60 * 60 * 1000
COUNTED_DAYS: Final = 30
MINE_MAX: Final = 5_000
"""Jobs of a person that are counted at most."""
WAIT: Final = 0.5
"""Seconds that a page waits for the first count."""

Counts = Mapping[str, int]
"""Jobs by key of an entry."""


@dataclass(slots=True)
class _Community:
    """Jobs by day since the epoch, of entries by kind and key."""

    days: dict[int, Counter[tuple[Kind, str]]] = field(default_factory=dict)


class Uses:
    """clock: returns seconds since the epoch."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._people: OrderedDict[str, Record] = OrderedDict()
        self._changes: dict[str, int] = {}
        self._communities: dict[str, _Community] = {}
        self._counting: asyncio.Task[None] | None = None
        store.favourites.on_changed(self.forget)

    def accepted(self, job: Job) -> None:
        """Count a job that was just accepted. Returns at once."""
        use = use_of(job)
        if (record := self._people.get(job.person)) is not None:
            record.add(use)
        if job.person in self._changes:
            self._changes[job.person] += 1
        if self._counting is not None:
            self._count(use)

    def forget(self, person: str) -> None:
        """Drop what is known of a person; it is read again when it is needed."""
        self._people.pop(person, None)
        if person in self._changes:
            self._changes[person] += 1

    async def of(self, person: str) -> Record:
        """What the person has used; from the store the first time. Empty if that cannot be read."""
        if (known := self._people.get(person)) is None:
            try:
                known = await self._read(person)
            except StoreError as error:
                log.error("what someone used cannot be read: %s", error)
                return Record()
            self._people[person] = known
            if len(self._people) > PEOPLE_MAX:
                self._people.popitem(last=False)
        self._people.move_to_end(person)
        return known

    async def _read(self, person: str) -> Record:
        """Reads again if something changed meanwhile, which may or may not have been read."""
        begun = self._changes.setdefault(person, 0)
        try:
            uses = await self._store.uses.of_person(person, 0, JOBS_MAX)
            if self._changes.get(person, 0) != begun:
                uses = await self._store.uses.of_person(person, 0, JOBS_MAX)
        finally:
            self._changes.pop(person, None)
        return Record.of(uses)

    async def mine(self, person: str, kind: Kind) -> Counts:
        """In how many jobs of the last 30 days the person used each entry. Raises StoreError."""
        since = int(self._clock() * 1000) - COUNTED_DAYS * DAY_MS
        uses = await self._store.uses.of_person(person, since, MINE_MAX)
        return Counter(key for use in uses for key in _keys(use, kind))

    async def here(self, community: str, kind: Kind) -> Counts | None:
        """The same for everyone in the community; None while it is not known."""
        if self._counting is None:
            self._counting = asyncio.create_task(self._count_all())
        await asyncio.wait({counting := self._counting}, timeout=WAIT)
        if not counting.done() or self._counting is None:
            return None
        today = self._today()
        counted: Counter[str] = Counter()
        known = self._communities.get(community, _Community())
        for day in [day for day in known.days if day <= today - COUNTED_DAYS]:
            del known.days[day]
        for counts in known.days.values():
            for (of, key), count in counts.items():
                if of == kind:
                    counted[key] += count
        return counted

    async def _count_all(self) -> None:
        """Count page by page, so that other reads of the store go on in between."""
        try:
            since, after = int(self._clock() * 1000) - COUNTED_DAYS * DAY_MS, 0
            until = int(self._clock() * 1000)
            while True:
                page = await self._store.uses.page(since, after, until)
                for use in page.uses:
                    self._count(use)
                if len(page.uses) < PAGE:
                    return
                since, after = page.last
        except StoreError as error:
            log.error("the use of models and LoRAs cannot be counted: %s", error)
            self._communities.clear()
            self._counting = None

    def _count(self, use: Use) -> None:
        if use.community is None:
            return
        days = self._communities.setdefault(use.community, _Community()).days
        counts = days.setdefault(use.at // DAY_MS, Counter())
        for kind in (MODEL, ADAPTER):
            counts.update((kind, key) for key in _keys(use, kind))

    def _today(self) -> int:
        return int(self._clock() * 1000) // DAY_MS


def _keys(use: Use, kind: Kind) -> tuple[str, ...]:
    return use.adapters if kind == ADAPTER else (use.model,) if use.model else ()
