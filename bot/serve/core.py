"""Core: what serves jobs, wherever they come from, and keeps the process running."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from bot.backend import Backend
from bot.errors import EngineLost, Outgrown, StoreError
from bot.files.housekeeping import Housekeeping, InputsOfCancelled
from bot.files.sheets.cancelling import CellsOfCancelled
from bot.handover import Handover
from bot.health import Check
from bot.levels import Level
from bot.previews import Pictures, Previews
from bot.privacy import Forgetter
from bot.process.crash import Trace, crashes_recorded
from bot.process.lock import Claims
from bot.process.restart import slow_down, start_over, was_told_to_stop
from bot.process.signals import at_the_latest
from bot.queue.limits import Limits
from bot.settings import Settings
from bot.store import Api, CommandLine, Previewing, discord_person, now_ms
from bot.supervision import supervised
from bot.texts.language import Texts
from bot.texts.terminal import for_terminal
from bot.worker.blocking import Blocking
from bot.worker.following import Following
from bot.worker.observers import ByOrigin, Kept, Observers
from bot.worker.recovery import LastEnd, recover, tell
from bot.worker.workers import Workers
from catalog import Demos

if TYPE_CHECKING:
    from bot.distributed.elsewhere import Elsewhere

log = logging.getLogger(__name__)

CANCEL_AGAIN = 0.2
"""Seconds after which a task that was cancelled but still runs is cancelled again."""


@dataclass(frozen=True, slots=True)
class Core:
    """The parts that every way of serving needs, built but not yet running.

    following: of the jobs of command lines and callers over HTTP.
    last_crash: what the process before this one left, see bot.process.crash.
    elsewhere: machines that work for this bot; None without a broker.
    """

    settings: Settings
    texts: Texts
    backend: Backend
    observers: Observers
    by_origin: ByOrigin
    following: Following
    workers: Workers
    previews: Previews
    blocking: Blocking
    forgetter: Forgetter
    handover: Handover
    last_crash: Trace
    elsewhere: "Elsewhere | None"

    @classmethod
    @asynccontextmanager
    async def build(
        cls, settings: Settings, *, preview_interval: float, demos: Demos = "hidden"
    ) -> AsyncIterator[Self]:
        """preview_interval: seconds between two previews of an image, if there are any.

        demos: as Backend.open. Raises StoreError, CatalogError and SettingsError.
        """
        shown = preview_interval if settings.preview else None
        texts, observers = Texts.read(), Observers()
        async with (
            crashes_recorded(settings.data_dir.absolute()) as last_crash,
            Backend.open(
                settings,
                limits=limits_of(settings),
                preview_interval=shown,
                demos=demos,
            ) as backend,
        ):
            following = Following(Kept(backend.store))
            by_origin = ByOrigin(
                {CommandLine.name: following, Api.name: following}, otherwise=Kept(backend.store)
            )
            observers.subscribe(by_origin)
            observers.subscribe(InputsOfCancelled(backend.store, backend.inputs))
            observers.subscribe(CellsOfCancelled(backend.store, settings.images_dir.absolute()))
            workers = backend.workers(observers)
            previews = previews_of(settings, backend, workers)
            by_origin.pass_on(Previewing.name, previews.following)
            blocking = Blocking(backend.store, backend.queue, workers)
            await blocking.load()
            backend.permits.add(blocking.permit)
            yield cls(
                settings=settings,
                texts=texts,
                backend=backend,
                observers=observers,
                by_origin=by_origin,
                following=following,
                workers=workers,
                previews=previews,
                blocking=blocking,
                forgetter=forgetter_of(settings, backend, workers),
                handover=Handover(backend, workers, following, for_terminal(texts).speaker()),
                last_crash=last_crash,
                elsewhere=_elsewhere(settings, backend, workers, texts, shown),
            )

    def checks(self) -> dict[str, Check]:
        """Health checks of these parts."""

        async def stored() -> str | None:
            store = self.backend.store
            try:
                # A write, because a disk that became read-only can still be read.
                await store.set_setting("checked", str(now_ms()))
            except StoreError:
                if not store.displaced:
                    raise
                return "its file was replaced, moved or deleted; restart the bot"
            return None

        async def painting() -> str | None:
            return self.workers.problem()

        return {"database": stored, "painting": painting}

    async def run(
        self,
        origins: tuple[str, ...],
        interface: AbstractAsyncContextManager[object],
        serving: Callable[[], Coroutine[Any, Any, None]],
        online: asyncio.Event,
        beside: Mapping[str, Callable[[], Awaitable[object]]] = MappingProxyType({}),
    ) -> None:
        """Generate, and at the same time await `serving`, until cancelled.

        origins: whose jobs this process handles, all in one queue. interface: open while jobs are
        generated. online: set once people can ask; what takes long waits for it. beside: tasks that
        must not end it, by what they do.
        Raises EngineLost when only a new process can generate again, and StoreError.
        """
        store, queue = self.backend.store, self.backend.queue
        end = LastEnd(asked=await was_told_to_stop(store), crashed=self.last_crash.in_a_thread)
        claims = Claims(self.settings.data_dir.absolute())
        unfinished = await recover(store, queue, (*origins, Previewing.name), claims, end)
        await slow_down(store)
        async with self.backend.generating(self.workers), self.handover.offered(), interface:
            await self.blocking.enforce()
            works: dict[str, Callable[[], Awaitable[object]]] = {
                **beside,
                "housekeeping": self._housekeeping().run,
                "forgetting": self.forgetter.run,
                "the index of prompts": partial(self._tend_history, online),
                "loading models ahead": partial(self._warm_up, online),
                "previews": partial(self._preview, online),
                "workers elsewhere": self._work_elsewhere,
                "watching the database": store.watch,
            }
            telling = partial(tell, unfinished, self.by_origin, self.observers)
            supervision = [
                supervised("telling of earlier jobs", telling, again=False),
                *(supervised(what, work) for what, work in works.items()),
            ]
            tasks = [asyncio.create_task(each) for each in supervision]
            try:
                await _unless_lost(
                    self.workers,
                    serving(),
                    self._look_over(online),
                    lambda: start_over(by_itself=self.settings.restart),
                )
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _warm_up(self, online: asyncio.Event) -> None:
        """Load torch and the default model once online; startup does not wait for it."""
        await online.wait()
        self.workers.warm_up()

    async def _preview(self, online: asyncio.Event) -> None:
        """Paint previews, if they are wanted."""
        await online.wait()
        await self.previews.run()

    async def _work_elsewhere(self) -> None:
        """Give jobs to workers on other machines, if there is a broker."""
        if self.elsewhere is not None:
            await self.elsewhere.run()

    async def _tend_history(self, online: asyncio.Event) -> None:
        """Make the jobs of earlier versions findable, and keep the index small."""
        await online.wait()
        await self.backend.store.history.tend()

    async def _look_over(self, online: asyncio.Event) -> None:
        """Raises StoreError if the database is damaged."""
        await online.wait()
        await self.backend.store.look_over()

    def _housekeeping(self) -> Housekeeping:
        return Housekeeping(
            self.backend.store,
            self.settings.images_dir.absolute(),
            self.backend.inputs,
            days=self.settings.keep_days,
            gib=self.settings.keep_gb,
            history_days=self.settings.keep_history_days,
            outdated=self.forgetter.outdated,
            by_community=self.backend.store.levels.keep_days,
        )


def _elsewhere(
    settings: Settings, backend: Backend, workers: Workers, texts: Texts, previews: float | None
) -> "Elsewhere | None":
    if settings.broker is None:
        return None
    # Imported here because most bots run without it.
    from bot.distributed.elsewhere import Elsewhere

    return Elsewhere.of(settings, backend.catalog, backend.queue, workers, texts, previews)


def previews_of(settings: Settings, backend: Backend, workers: Workers) -> Previews:
    """What paints previews, and finds those that are there."""
    models_dir = settings.models_dir.absolute()
    return Previews(
        catalog=backend.catalog,
        store=backend.store,
        queue=backend.queue,
        workers=workers,
        inspector=backend.inspector,
        pictures=Pictures(models_dir, settings.previews_dir.absolute()),
        models_dir=models_dir,
        images_dir=settings.images_dir.absolute(),
        prompt=settings.previews_prompt,
    )


def forgetter_of(settings: Settings, backend: Backend, workers: Workers) -> Forgetter:
    """What erases, with the parts of `backend`."""

    def forgotten(person: str) -> None:
        backend.levels.forgotten((Level.PERSON.value, person))
        backend.uses.forget(person)

    return Forgetter(
        backend.store,
        images_dir=settings.images_dir.absolute(),
        inputs=backend.inputs,
        database=settings.database.absolute(),
        withdraw=workers.withdraw,
        idle=lambda: not len(backend.queue),
        forgotten=forgotten,
    )


def limits_of(settings: Settings) -> Limits:
    """The limits that the owner has set."""
    return Limits(
        size=settings.queue_size,
        per_user=settings.queue_per_user,
        per_guild=settings.queue_per_guild,
        per_key=settings.api_queue_per_key,
        cooldown=settings.cooldown,
        quota=settings.daily_pictures,
        blocked=frozenset(map(discord_person, settings.blocked_users)),
        roles=settings.allowed_roles,
        priorities=settings.priority_roles,
    )


async def _unless_lost(
    workers: Workers,
    serving: Coroutine[Any, Any, None],
    looking: Coroutine[Any, Any, None],
    restart: Callable[[], NoReturn],
) -> None:
    """Await `serving`. Raises EngineLost as soon as a worker can no longer generate, and what
    `serving` raises.

    looking: ends by itself; what it raises ends serving, too.
    restart: replaces or ends this process if it does not end by itself after that.
    """
    works = (serving, workers.lost(), looking)
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
    served, lost, looked = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not served.done() and looked.done():
            looked.result()
            await asyncio.wait({served, lost}, return_when=asyncio.FIRST_COMPLETED)
        if lost.done():
            at_the_latest(restart)
            raise cast("EngineLost", lost.result())
        try:
            await served
        except Outgrown as outgrown:
            log.critical("%s; this process has to end", outgrown)
            at_the_latest(restart)
            raise
    finally:
        # While reconnecting a shard, discord.py may swallow a cancellation and go on.
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
