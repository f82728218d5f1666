"""Serving, on Discord or over HTTP alone, until a signal."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, Final

from bot.health import Check, Health
from bot.process.restart import start_over, told_to_stop
from bot.process.signals import stop_on_signals
from bot.process.watchdog import watched_loop
from bot.serve.core import Core
from bot.settings import Settings
from bot.store import Api, Discord
from bot.supervision import supervised
from catalog import Demos, locate_entry, read_catalog

log = logging.getLogger(__name__)

PREVIEW_INTERVAL: Final = 1.0
"""Seconds between two previews where only callers over HTTP see them."""


async def serve(settings: Settings, extensions: Sequence[str]) -> None:
    """Serve Discord until SIGINT or SIGTERM, and HTTP beside it if a port is set.

    Raises SettingsError when Discord refuses the bot, StoreError or CatalogError at start,
    EngineLost when only a new process can generate again, and Outgrown when only a new one can have
    as many connections as Discord asks for.
    """
    from bot.serve.discord_bot import DiscordBot

    stop = stop_on_signals()
    async with DiscordBot.build(settings, extensions) as bot:
        core = bot.core
        checks = {"discord": bot.connected, **core.checks()}
        interface: AbstractAsyncContextManager[None] = nullcontext()
        if settings.api_port is not None:
            interface = _http(core, settings.api_host, settings.api_port, checks)
        async with _watched(
            core,
            checks,
            outbox_length=lambda: bot.delivery.on_the_way,
            heartbeats=lambda: bot.client.heartbeats,
        ):
            serving = core.run(
                (Discord.name, Api.name),
                interface,
                bot.connect,
                bot.client.online,
                {
                    "registering commands": bot.register,
                    "remembering copies": bot.remember_copies,
                    "the bot's status": bot.show_presence,
                    "audit": partial(bot.audit.run, bot.client.complete),
                    "removing messages": bot.removal.run,
                    "telling what was forgotten": bot.endings.run,
                },
            )
            await _until_stopped(core, serving, stop)


async def serve_api(settings: Settings, host: str, port: int) -> None:
    """Serve HTTP alone until SIGINT or SIGTERM. Jobs from Discord wait for a bot.

    Raises as `serve`.
    """
    stop = stop_on_signals()
    demos: Demos = "offered" if await asyncio.to_thread(_own_models, settings) else "default"
    async with Core.build(settings, preview_interval=PREVIEW_INTERVAL, demos=demos) as core:
        checks, online = core.checks(), asyncio.Event()
        online.set()
        async with _watched(core, checks, outbox_length=lambda: 0):
            interface = _http(core, host, port, checks)
            serving = core.run((Api.name,), interface, _for_ever, online)
            await _until_stopped(core, serving, stop)


def _own_models(settings: Settings) -> bool:
    """Whether a model of the owner's is on this machine. Raises CatalogError."""
    models_dir = settings.models_dir.absolute()
    catalog = read_catalog(settings.catalog_dir.absolute(), models_dir, demos="hidden")
    offered = catalog.offered_models(nsfw=True)
    located = (locate_entry(each, models_dir, catalog.lacking) for each in offered)
    return any(place.available and place.kind != "download" for place in located)


async def _for_ever() -> None:
    await asyncio.Event().wait()


def _http(
    core: Core, host: str, port: int, checks: Mapping[str, Check]
) -> AbstractAsyncContextManager[None]:
    # Imported here because most bots run without it, and it takes time.
    from bot.serve.http import http_served

    return http_served(core, host, port, checks)


async def _until_stopped(core: Core, work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    async with watched_loop(partial(start_over, by_itself=core.settings.restart)):
        serving = asyncio.create_task(work)
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if serving.done():
            serving.result()
        recording = asyncio.create_task(told_to_stop(core.backend.store))
        serving.cancel()
        await asyncio.wait({serving, recording})
    log.info("stopped")


@asynccontextmanager
async def _watched(
    core: Core,
    checks: Mapping[str, Check],
    *,
    outbox_length: Callable[[], int],
    heartbeats: Callable[[], Mapping[int, float | None]] = dict,
) -> AsyncIterator[None]:
    """Serve health checks and metrics on the configured port, if there is one."""
    port = core.settings.metrics_port
    if port is None:
        yield
        return
    # Imported here because most bots run without it.
    from bot.metrics import Metrics, exposed, measure_lag

    metrics = Metrics(
        queue_length=lambda: len(core.backend.queue),
        outbox_length=outbox_length,
        loaded=core.backend.loaded,
        heartbeats=heartbeats,
        gpu_memory=core.backend.gpu_memory,
        lanes=lambda: core.backend.queue.lanes,
        key_name=core.backend.store.api_keys.name if core.settings.metrics_keys else None,
    )
    core.observers.subscribe(metrics)
    async with exposed(core.settings.metrics_host, port, metrics, Health(checks)):
        measure = partial(measure_lag, metrics.lagged)
        measuring = asyncio.create_task(supervised("measuring the event loop", measure))
        try:
            yield
        finally:
            measuring.cancel()
