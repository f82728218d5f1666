"""`main.py worker`: lend this machine's GPUs to a bot elsewhere."""

import asyncio
import logging
import platform
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from bot import log
from bot.backend import build_lanes, cards_for, devices_of
from bot.distributed import keys
from bot.distributed.announcement import DeviceState
from bot.distributed.broker import Broker, broker_of
from bot.distributed.fetched import Fetched
from bot.distributed.fetching import CheckStop, Fetcher, Report
from bot.distributed.inventory import Inventory
from bot.distributed.localising import PartMissing, localise
from bot.distributed.pace import Pace
from bot.distributed.source import Source
from bot.engine.hashing import HashCache
from bot.errors import EngineLost, ImagenError, NotHere, PaintStopped, SettingsError, StopReason
from bot.order import Order
from bot.process.preparation import allow_open_files, keep_files_private
from bot.process.restart import start_over
from bot.process.signals import stop_on_signals
from bot.queue import Lane
from bot.settings import Settings
from bot.supervision import supervised
from bot.worker.engine import ImageEngine
from catalog import KeptFacts, LiveCatalog
from catalog import Pace as CatalogPace

logger = logging.getLogger(__name__)

GIB: Final = 2**30
FETCHED: Final = "fetched"
"""The folder for fetched files, in that of the models."""
LIBRARIES: Final = ("torch", "diffusers", "transformers", "safetensors", "numpy", "pillow", "saq")


def worker(settings: Settings, name: str | None) -> int:
    """Work until interrupted; returns the exit code. name: None for this machine's.

    Raises SettingsError and CatalogError.
    """
    broker = broker_of(settings)
    broker.demand_packages()
    log.set_up(settings.log_level, settings.secrets(), as_json=settings.log_format == "json")
    keep_files_private()
    allow_open_files()
    settings.data_dir.absolute().mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_work(settings, broker, name_of(name)))
    except EngineLost:
        start_over(by_itself=settings.restart)
    return 0


def name_of(given: str | None) -> str:
    """A worker's name. Raises SettingsError for one that is given and is none."""
    if given is None:
        here = re.sub(r"[^a-z0-9]+", "-", platform.node().partition(".")[0].lower()).strip("-")
        return here[:32].strip("-") or "worker"
    if not keys.is_name(given):
        raise SettingsError(
            f"--name: must be 1 to 32 of a-z, 0-9 and -, beginning and ending with a letter or "
            f"digit, got {given!r}"
        )
    return given


async def _work(settings: Settings, broker: Broker, name: str) -> None:
    # Imported here because it needs the packages for the broker.
    from bot.distributed.worker import FINISH_WITHIN, HAND_BACK_WITHIN, Equipment, Worker

    stop = stop_on_signals(within=FINISH_WITHIN + HAND_BACK_WITHIN + 5)
    catalog = await asyncio.to_thread(
        LiveCatalog,
        settings.catalog_dir.absolute(),
        settings.models_dir.absolute(),
        settings.demos("hidden"),
        KeptFacts.within(settings.data_dir.absolute()),
        CatalogPace(),
    )
    fetched = Fetched(settings.models_dir.absolute() / FETCHED, int(settings.fetched_gb * GIB))
    inventory = Inventory(
        settings.models_dir.absolute(), HashCache(settings.hashes_file.absolute()), fetched
    )
    fetcher = _fetcher(settings, fetched, inventory)
    cards = await asyncio.to_thread(cards_for, settings)
    lanes = build_lanes(settings, devices_of(settings, cards), cards, None)
    if not lanes:
        raise SettingsError("IMAGEN_DEVICES: a worker needs a device at least, got none")
    program = Worker(
        name=name,
        broker=broker,
        equipment=[
            Equipment(engine, partial(_state, lane), partial(_preload, engine, catalog, stop))
            for lane, engine in lanes
        ],
        complete=partial(_local, inventory) if fetcher is None else fetcher.complete,
        digests=lambda: inventory.digests,
        downloads=lambda: inventory.downloads,
        fetches=fetcher is not None,
        libraries=libraries(),
        timeout=settings.job_timeout,
        pace=Pace(),
        idle_for=settings.idle_minutes * 60 or None,
    )
    works: dict[str, Callable[[], Awaitable[object]]] = {
        "watching the catalog": catalog.watch,
        "the files of the catalog": partial(inventory.keep, catalog),
    }
    beside = [asyncio.create_task(supervised(what, work)) for what, work in works.items()]
    try:
        await program.run(stop)
    finally:
        for task in beside:
            task.cancel()
        if fetcher is not None:
            fetcher.close()


def _fetcher(settings: Settings, fetched: Fetched, inventory: Inventory) -> Fetcher | None:
    """What fetches files from the bot; None if it is not to. Raises SettingsError."""
    if settings.fetch_from is None:
        return None
    if settings.key is None:
        raise SettingsError("IMAGEN_FETCH_FROM: needs a key in IMAGEN_KEY")
    source = Source(settings.fetch_from, settings.key.get_secret_value())
    return Fetcher(source, fetched, inventory)


@contextmanager
def _local(inventory: Inventory, order: Order, _: Report, __: CheckStop) -> Iterator[Order]:
    """As `Fetcher.complete`, for a worker that has nothing but its own files."""
    try:
        local = localise(order, inventory)
    except PartMissing as missing:
        raise NotHere(missing, missing.digest) from None
    yield local


def _state(lane: Lane) -> DeviceState:
    return DeviceState(
        device=lane.device, memory=lane.memory, loaded=lane.loaded() if lane.loaded else None
    )


def _preload(engine: ImageEngine, catalog: LiveCatalog, stop: asyncio.Event) -> None:
    """Load torch and the default model. Whatever fails is told again by the job that needs it."""

    def check_stop() -> None:
        if stop.is_set():
            raise PaintStopped(StopReason.SHUTDOWN)

    try:
        engine.warm_up()
        current = catalog.current
        if (model := current.models.get(current.default)) is not None:
            engine.preload(model, check_stop)
    except PaintStopped:
        pass
    except ImagenError as error:
        logger.warning("the default model cannot be loaded: %s", error)
    except Exception:
        logger.exception("the default model cannot be loaded")


def libraries() -> dict[str, str]:
    """The versions of those that an image may depend on, without importing them."""
    found = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
