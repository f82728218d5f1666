"""Stillness: whether nothing is started now, because the owner has paused the queue or because of
quiet hours. Requests are accepted all the same, and wait."""

import asyncio
import json
import logging
from collections.abc import Callable
from math import ceil
from typing import Final, Never

from bot.errors import InvalidRequest
from bot.queue.quiet import QuietHours
from bot.store import ActKind, Store

log = logging.getLogger(__name__)

PAUSED: Final = "paused"
QUIET: Final = "quiet hours"
"""The keys of the store's settings that persist it."""
LOOK: Final = 60.0
"""Seconds after which the clock is looked at again, in case that it was set."""


class Stillness:
    """Survives a restart.

    clock: returns seconds since the epoch. changed: called, and must return at once, whenever jobs
    may start again or no longer.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self.paused = False
        self.quiet: QuietHours | None = None
        self._store = store
        self._clock = clock
        self._changed = changed
        self._set = asyncio.Event()

    async def restore(self) -> None:
        """At start-up: load what the process before kept. Quiet hours that cannot be read are
        logged, and there are none until they are set again."""
        self.paused = bool(await self._store.setting(PAUSED))
        if kept := await self._store.setting(QUIET):
            try:
                self.quiet = QuietHours.of(*json.loads(kept))
            except (InvalidRequest, ValueError, TypeError) as error:
                log.error(
                    "there are no quiet hours: those that were set, %s, cannot be read (%s); "
                    "set them again with /admin quiet",
                    kept,
                    error,
                )

    @property
    def now(self) -> bool:
        """Whether nothing may be started."""
        return self.paused or self.resumes_at is not None

    @property
    def resumes_at(self) -> int | None:
        """When the quiet hours end, in seconds since the epoch; None if there are none now."""
        until = self.quiet.until(self._clock()) if self.quiet else None
        return None if until is None else ceil(until)

    async def pause(self, *, paused: bool) -> None:
        await self._store.set_setting(PAUSED, "yes" if paused else "")
        self.paused = paused
        self._changed()

    async def keep_quiet(self, quiet: QuietHours | None, actor: str) -> None:
        """From now on, every day; None for no longer. actor: who wants it, as of a job."""
        start, end, zone = quiet.clock if quiet else ("off", None, None)
        await self._store.acts.record(
            kind=ActKind.QUIET_HOURS,
            actor=actor,
            setting=(QUIET, json.dumps(quiet.clock) if quiet else ""),
            start=start,
            end=end,
            zone=zone or None,
        )
        self.quiet = quiet
        self._set.set()
        self._changed()

    async def watch(self) -> Never:
        """Say when quiet hours begin and end, until cancelled."""
        still = self.resumes_at
        while True:
            self._set.clear()
            try:
                async with asyncio.timeout(self._until_change()):
                    await self._set.wait()
            except TimeoutError:
                if still != self.resumes_at:
                    self._changed()
            still = self.resumes_at

    def _until_change(self) -> float | None:
        """Seconds; None without quiet hours."""
        if self.quiet is None:
            return None
        now = self._clock()
        return min(LOOK, self.quiet.changes_at(now) - now)
