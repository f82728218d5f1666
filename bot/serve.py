"""Serving Discord: builds the parts in order, runs them concurrently, closes in reverse order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Self, cast

import discord

from bot.backend import Backend
from bot.chat.client import ImagenBot
from bot.chat.connection import log_in, point_at, refused_for_good, stay_connected
from bot.chat.delivery import Delivery
from bot.chat.delivery.status import EDIT_INTERVAL
from bot.chat.services import Services
from bot.chat.sync import register_if_changed
from bot.errors import EngineLost, SettingsError, StoreError
from bot.files.housekeeping import Housekeeping, InputsOfCancelled
from bot.handover import Handover
from bot.process.crash import Trace, crashes_recorded
from bot.process.lock import Claims
from bot.process.restart import slow_down, start_over, told_to_stop, was_told_to_stop
from bot.process.signals import at_the_latest, stop_on_signals
from bot.process.watchdog import watched_loop
from bot.queue.limits import Limits
from bot.queue.outlook import PART
from bot.settings import DISCORD_API_URL, Settings
from bot.store import COPY_NOTICED, CommandLine, Discord, discord_person, now_ms
from bot.texts.language import Texts
from bot.worker.following import Following
from bot.worker.observers import ByOrigin, JobObserver, Kept, Observers
from bot.worker.recovery import LastEnd, recover, tell
from bot.worker.workers import Workers

log = logging.getLogger(__name__)

ORIGINS = (Discord.name,)
"""The origins whose jobs this process handles, all in one queue."""
CANCEL_AGAIN = 0.2
"""Seconds after which a task that was cancelled but still runs is cancelled again."""


@dataclass(frozen=True, slots=True)
class DiscordBot:
    """A bot and all its parts, built but not yet running.

    last_crash: what the process before this one left, see bot.process.crash.
    """

    client: ImagenBot
    backend: Backend
    observers: Observers
    by_origin: JobObserver
    delivery: Delivery
    workers: Workers
    handover: Handover
    logged_in: asyncio.Event
    last_crash: Trace

    @classmethod
    @asynccontextmanager
    async def build(cls, settings: Settings, extensions: Sequence[str]) -> AsyncIterator[Self]:
        """extensions: the modules of the cogs. Raises StoreError or CatalogError."""
        point_at(settings.api_url)
        texts, observers, logged_in = Texts.read(), Observers(), asyncio.Event()
        async with (
            crashes_recorded(settings.data_dir.absolute()) as last_crash,
            Backend.open(
                settings,
                limits=limits_of(settings),
                # Previews between two edits would never be shown.
                preview_interval=EDIT_INTERVAL if settings.preview else None,
            ) as backend,
            ImagenBot(texts, settings.proxy) as client,
        ):
            delivery = Delivery(
                client=client,
                store=backend.store,
                texts=texts,
                catalog=backend.catalog,
                images_dir=settings.images_dir.absolute(),
                interval=EDIT_INTERVAL,
                job_timeout=settings.job_timeout,
                undeliverable=observers.failed,
                logged_in=logged_in.wait,
                copies=client.copies,
            )
            following = Following(Kept(backend.store))
            by_origin = ByOrigin(
                {Discord.name: delivery, CommandLine.name: following},
                otherwise=Kept(backend.store),
            )
            observers.subscribe(by_origin)
            observers.subscribe(InputsOfCancelled(backend.store, backend.inputs))
            workers = backend.workers(observers)
            await client.load(Services(texts, backend, delivery, workers), extensions)
            client.on_connected(delivery.back)
            handover = Handover(backend, workers, following, texts.speaker())
            yield cls(
                client,
                backend,
                observers,
                by_origin,
                delivery,
                workers,
                handover,
                logged_in,
                last_crash,
            )


def limits_of(settings: Settings) -> Limits:
    """The limits that the owner has set for Discord."""
    return Limits(
        size=settings.queue_size,
        per_user=settings.queue_per_user,
        per_guild=settings.queue_per_guild,
        cooldown=settings.cooldown,
        quota=settings.daily_pictures,
        blocked=frozenset(map(discord_person, settings.blocked_users)),
        roles=settings.allowed_roles,
        priorities=settings.priority_roles,
    )


async def serve(settings: Settings, extensions: Sequence[str]) -> None:
    """Serve Discord until SIGINT or SIGTERM.

    Raises SettingsError when Discord refuses the bot, StoreError or CatalogError at start, and
    EngineLost when only a new process can generate again.
    """
    stop = stop_on_signals()
    async with (
        DiscordBot.build(settings, extensions) as bot,
        _watched(bot, settings),
        watched_loop(partial(start_over, by_itself=settings.restart)),
    ):
        serving = asyncio.create_task(_serve(bot, settings))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()
        recording = asyncio.create_task(told_to_stop(bot.backend.store))
        serving.cancel()
        await asyncio.wait({serving, recording})
    log.info("stopped")


@asynccontextmanager
async def _watched(bot: DiscordBot, settings: Settings) -> AsyncIterator[None]:
    """Serve health checks and metrics on the configured port, if there is one."""
    port = settings.metrics_port
    if port is None:
        yield
        return
    # Imported here because most bots run without it.
    from bot.metrics import Health, Metrics, exposed, measure_lag

    backend, client = bot.backend, bot.client
    metrics = Metrics(
        queue_length=lambda: len(backend.queue),
        outbox_length=lambda: bot.delivery.on_the_way,
        loaded=backend.loaded,
        latency=lambda: client.latency,
        gpu_memory=backend.gpu_memory,
    )

    async def connected() -> str | None:
        if client.copies.seen:
            return "another copy of the bot runs with the same token; stop one of the two"
        shards = client.shards.values()
        up = client.is_ready() and not any(shard.is_closed() for shard in shards)
        return None if up else "not connected"

    async def stored() -> str | None:
        try:
            # A write, because a disk that became read-only can still be read.
            await backend.store.set_setting("checked", str(now_ms()))
        except StoreError:
            if not backend.store.displaced:
                raise
            return "its file was replaced, moved or deleted; restart the bot"
        return None

    async def painting() -> str | None:
        return None if bot.workers.draining else "not taking jobs"

    health = Health({"discord": connected, "database": stored, "painting": painting})
    bot.observers.subscribe(metrics)
    async with exposed(settings.metrics_host, port, metrics, health):
        measuring = asyncio.create_task(measure_lag(metrics.lagged))
        try:
            yield
        finally:
            measuring.cancel()


async def _serve(bot: DiscordBot, settings: Settings) -> None:
    """Generate and, at the same time, log in and stay connected, until cancelled."""
    if settings.token is None:
        raise SettingsError("DISCORD_TOKEN: not set")
    store, queue = bot.backend.store, bot.backend.queue
    end = LastEnd(asked=await was_told_to_stop(store), crashed=bot.last_crash.in_a_thread)
    unfinished = await recover(store, queue, ORIGINS, Claims(settings.data_dir.absolute()), end)
    await slow_down(store)
    async with bot.backend.generating(bot.workers), bot.handover.offered():
        beside = asyncio.gather(
            _register(bot, settings),
            tell(unfinished, bot.by_origin, bot.observers),
            _housekeeping(bot.backend).run(),
            _warm_up_once_online(bot),
            store.watch(),
            _remember_copies(bot),
        )
        try:
            await _unless_lost(
                bot.workers,
                _connect(bot, settings, settings.token.get_secret_value()),
                _look_over_once_online(bot),
                lambda: start_over(by_itself=settings.restart),
            )
        except (discord.LoginFailure, discord.ConnectionClosed) as error:
            raise refused_for_good(error) from error
        finally:
            beside.cancel()
            try:
                await beside
            except asyncio.CancelledError:
                pass
            except Exception:
                # Not raised: it would hide why serving ended.
                log.exception("a task beside the connection failed")


async def _connect(bot: DiscordBot, settings: Settings, token: str) -> None:
    """Log in, then stay connected until cancelled. Results finished earlier wait for the login."""
    await log_in(bot.client, token, own_gateway=settings.api_url != DISCORD_API_URL)
    bot.logged_in.set()
    queue = bot.backend.queue
    tickets = await queue.standings()
    for begin in range(0, len(tickets), PART):
        # One that has left meanwhile has its result by now, which a status must not replace.
        part = [ticket for ticket in tickets[begin : begin + PART] if ticket.job.id in queue]
        await bot.delivery.resume(part)
    await stay_connected(bot.client)


async def _remember_copies(bot: DiscordBot) -> None:
    """Keep for `check` when another copy of the bot was noticed."""
    await bot.client.copies.noticed.wait()
    with suppress(StoreError):  # it is logged, too
        await bot.backend.store.set_setting(COPY_NOTICED, str(now_ms()))


async def _warm_up_once_online(bot: DiscordBot) -> None:
    """Load torch and the default model once online; startup does not wait for it."""
    await bot.client.online.wait()
    bot.workers.warm_up()


async def _look_over_once_online(bot: DiscordBot) -> None:
    """Raises StoreError if the database is damaged."""
    await bot.client.online.wait()
    await bot.backend.store.look_over()


async def _register(bot: DiscordBot, settings: Settings) -> None:
    # Not before connecting: the commands registered earlier still work.
    await bot.logged_in.wait()
    await register_if_changed(bot.client.tree, bot.backend.store, settings.guild_id)


def _housekeeping(backend: Backend) -> Housekeeping:
    settings = backend.settings
    return Housekeeping(
        backend.store,
        settings.images_dir.absolute(),
        backend.inputs,
        days=settings.keep_days,
        gib=settings.keep_gb,
    )


async def _unless_lost(
    workers: Workers,
    serving: Coroutine[Any, Any, None],
    looking: Coroutine[Any, Any, None],
    restart: Callable[[], NoReturn],
) -> None:
    """Await `serving`. Raises EngineLost as soon as a worker can no longer generate.

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
        await served
    finally:
        # While reconnecting a shard, discord.py may swallow a cancellation and go on.
        pending = set(tasks)
        while pending:
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
