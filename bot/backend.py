"""Backend: catalog, store, engines, queue and workers, without anything of Discord.

The bot and the command line both build theirs here, so both generate in the same way.
"""

import asyncio
import gc
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

from bot.cards import Card, find_cards
from bot.choosing import ADAPTER, Kind, Uses, ranked
from bot.engine import Engine
from bot.engine.image_check import ImageCheck
from bot.engine.ram import usable_ram
from bot.files.inputs import Inputs
from bot.levels import Caps, Enforcing, Levels, Rechecking
from bot.moderation.owner_file import NAME as BLOCKED_WORDS
from bot.moderation.owner_file import OwnerFile
from bot.moderation.screening import Screening
from bot.moderation.words import Words
from bot.queue import JobQueue, Lane
from bot.queue.estimate import is_guided
from bot.queue.limits import Limits
from bot.settings import Settings
from bot.store import Store
from bot.supervision import supervised
from bot.wire.options import EngineOptions
from bot.worker.consumer import GpuConsumer
from bot.worker.engine import ImageEngine
from bot.worker.image_check import CheckedInputs, Inspector
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from bot.worker.permits import Permits
from bot.worker.workers import Workers
from catalog import Demos, KeptFacts, LiveCatalog, Pace

log = logging.getLogger(__name__)

GIB = 2**30


def devices_of(settings: Settings, cards: Sequence[Card]) -> tuple[str, ...]:
    """The device of each lane, as torch names it or `auto`. cards: of this machine."""
    if settings.devices == ("none",):
        return ()
    if settings.devices:
        return settings.devices
    if settings.device in ("auto", "cuda") and len(cards) > 1:
        return tuple(f"cuda:{number}" for number in range(len(cards)))
    return (settings.device,)


def lane_names(devices: Sequence[str]) -> tuple[str, ...]:
    """`gpu` for the only one; else after the devices, such as `gpu-1` for `cuda:1`, and numbered
    where a device has several lanes."""
    if len(devices) == 1:
        return ("gpu",)
    plain = [device.replace("cuda:", "gpu-").replace("cuda", "gpu") for device in devices]
    seen = Counter[str]()
    names = []
    for name in plain:
        seen[name] += 1
        names.append(f"{name}-{seen[name]}" if plain.count(name) > 1 else name)
    return tuple(names)


def engine_options(
    settings: Settings,
    preview_interval: float | None = None,
    device: str | None = None,
    sharing: int = 1,
) -> EngineOptions:
    """preview_interval: seconds between two previews of an image; None for no previews. device:
    None for the one of the settings. sharing: engines that share this machine's RAM."""
    device = device or settings.device
    cache = None if settings.model_cache is None else int(settings.model_cache * GIB) // sharing
    if cache is None and sharing > 1 and device != "cpu":
        cache = usable_ram() // 2 // sharing
    return EngineOptions(
        models_dir=settings.models_dir.absolute(),
        hashes_file=settings.hashes_file.absolute(),
        device=device,
        dtype=settings.dtype,
        memory=settings.memory,
        weights=settings.weights,
        compiled=settings.compiled,
        model_cache=cache,
        adapter_cache=int(settings.adapter_cache * GIB),
        preview_interval=preview_interval,
        hub_token=settings.hub_token.get_secret_value().strip() if settings.hub_token else None,
    )


def build_engine(
    settings: Settings,
    preview_interval: float | None = None,
    device: str | None = None,
    sharing: int = 1,
) -> Engine:
    """An engine in a thread of this process; see engine_options."""
    return Engine(**engine_options(settings, preview_interval, device, sharing).arguments())


def build_lanes(
    settings: Settings,
    devices: Sequence[str],
    cards: Sequence[Card],
    preview_interval: float | None,
) -> tuple[tuple[Lane, ImageEngine], ...]:
    """A lane with its engine for each of `devices`."""
    count = len(devices)
    apart = settings.engine == "process" or (settings.engine == "auto" and count > 1)
    built = []
    for device, name in zip(devices, lane_names(devices), strict=True):
        engine: ImageEngine
        if apart:
            # Imported here because a bot with one device has no use for it.
            from bot.engine_process import ProcessEngine

            engine = ProcessEngine(engine_options(settings, preview_interval, device, count), name)
        else:
            engine = build_engine(settings, preview_interval, device, count)
        lane = Lane(
            name,
            device,
            loaded=partial(_loaded, engine),
            memory=_memory_of(device, cards),
            isolated=apart,
        )
        built.append((lane, engine))
    return tuple(built)


def _loaded(engine: ImageEngine) -> str | None:
    return engine.loaded


def _memory_of(device: str, cards: Sequence[Card]) -> int | None:
    """Bytes of the card's memory, if it is known which one and how large it is."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or int(number or 0) >= len(cards):
        return None
    return cards[int(number or 0)].memory


def cards_for(settings: Settings) -> tuple[Card, ...]:
    """This machine's cards, where something depends on them. Blocks."""
    several = sum(device.startswith("cuda") for device in settings.devices) > 1
    automatic = not settings.devices and settings.device in ("auto", "cuda")
    return find_cards() if several or automatic else ()


def measured(lanes: Sequence[tuple[Lane, ImageEngine]]) -> dict[str, dict[str, int]]:
    """Bytes by kind for each of `lanes`, see Engine.gpu_memory; without those that cannot be asked.

    All are asked at once, so that one that is silent does not hold up the others. Blocks.
    """
    found: dict[str, dict[str, int]] = {}

    def ask(lane: Lane, engine: ImageEngine) -> None:
        try:
            found[lane.name] = engine.gpu_memory()
        except Exception as error:
            # The driver fails after a fatal error, which is when the others matter most.
            log.warning("%s: its memory cannot be read: %s", lane.name, type(error).__name__)

    # The end of the bot does not wait for a driver that never answers.
    threads = [threading.Thread(target=ask, args=each, daemon=True) for each in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {lane.name: found[lane.name] for lane, _ in lanes if lane.name in found}


def build_image_check(settings: Settings) -> ImageCheck:
    token = settings.hub_token.get_secret_value().strip() if settings.hub_token else None
    return ImageCheck(settings.models_dir.absolute(), hub_token=token)


def caps_of(settings: Settings) -> Caps:
    """What the owner has set that servers, channels and people stay within."""
    return Caps(
        buttons=settings.buttons,
        ping=settings.ping_after > 0,
        keep_days=settings.keep_days,
        priority=settings.server_priority,
        quota=settings.daily_pictures,
        cooldown=settings.cooldown,
        image_check=settings.image_check,
    )


def _shows_previews(engine: ImageEngine) -> bool:
    return engine.preview_interval is not None


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts that generate images. Use as `async with Backend.open(settings) as backend`.

    lanes: of this machine, with their engines. levels: what servers, channels and
    people have set, which the queue enforces. words: that are blocked, which screening looks for.
    permits: are asked before a job is generated. uses: what people have used.
    """

    settings: Settings
    catalog: LiveCatalog
    store: Store
    levels: Levels
    lanes: tuple[tuple[Lane, ImageEngine], ...]
    queue: JobQueue
    inputs: Inputs
    words: Words
    screening: Screening
    permits: Permits
    uses: Uses
    inspector: Inspector

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        limits: Limits | None = None,
        preview_interval: float | None = None,
        demos: Demos = "hidden",
        one_lane: bool = False,
    ) -> AsyncIterator[Self]:
        """limits: see JobQueue. preview_interval: see engine_options.
        demos: how to treat the demo models if the owner's settings do not say.
        one_lane: use one device only, for what generates one job.

        Raises StoreError or CatalogError if the store or the catalog cannot be read.
        """
        finding = asyncio.ensure_future(asyncio.to_thread(cards_for, settings))
        catalog = await asyncio.to_thread(
            LiveCatalog,
            settings.catalog_dir.absolute(),
            settings.models_dir.absolute(),
            settings.demos(demos),
            KeptFacts.within(settings.data_dir.absolute()),
            Pace(),
        )
        # What was imported and read so far stays. To collect garbage among all of that would hold
        # the event loop for a tenth of a second.
        gc.freeze()
        async with Store.open(settings.database.absolute()) as store:
            if off := await store.disabled_entries.all():
                await asyncio.to_thread(catalog.switch_off, off)
            cards = await finding
            devices = devices_of(settings, cards)[: 1 if one_lane else None]
            lanes = build_lanes(settings, devices, cards, preview_interval)
            inspector = Inspector(
                store, build_image_check(settings), lambda: catalog.current, settings.image_check
            )
            levels = Levels(store, caps_of(settings))
            file = OwnerFile(settings.catalog_dir.absolute() / BLOCKED_WORDS)
            words = Words(store, lambda: catalog.current, file)
            screening = Screening(
                Enforcing(levels, lambda: catalog.current),
                words,
                levels,
                store,
                lambda: catalog.current,
                negatives=settings.blocked_in_negatives,
            )
            permits = Permits()
            permits.add(Rechecking(levels, store, lambda: catalog.current))
            permits.add(screening.recheck)
            inputs = Inputs(settings.inputs_dir.absolute())
            permits.add(CheckedInputs(inspector, inputs.path))
            uses = Uses(store)
            yield cls(
                settings=settings,
                catalog=catalog,
                store=store,
                levels=levels,
                lanes=lanes,
                queue=JobQueue(
                    store,
                    [lane for lane, _ in lanes],
                    limits,
                    admit=screening,
                    accepted=uses.accepted,
                    guided=lambda request: is_guided(request, catalog.current),
                ),
                inputs=inputs,
                words=words,
                screening=screening,
                permits=permits,
                inspector=inspector,
                uses=uses,
            )

    def loaded(self) -> frozenset[str]:
        """Keys of the models on the GPUs."""
        return frozenset(
            key for lane in self.queue.lanes if (key := lane.in_place.model) is not None
        )

    async def first_for(self, person: str, kind: Kind) -> tuple[str, ...]:
        """Keys of the models or LoRAs that the person is offered first."""
        loaded = self.loaded_adapters() if kind == ADAPTER else self.loaded()
        return ranked(loaded, (await self.uses.of(person)).used(kind))

    def loaded_adapters(self) -> frozenset[str]:
        """Keys of the LoRAs on the GPUs."""
        return frozenset(key for lane in self.queue.lanes for key in lane.in_place.adapters)

    def gpu_memory(self) -> dict[str, dict[str, int]]:
        """Bytes by kind for each lane of this machine; see `measured`."""
        return measured(self.lanes)

    def workers(self, observer: JobObserver) -> Workers:
        """Workers that drain the queue once run; `observer` is notified about every job."""
        notices, withdrawn = Notices(), set[str]()
        settings = self.settings

        def build(lane: Lane, engine: ImageEngine) -> GpuConsumer:
            return GpuConsumer(
                lane=lane,
                queue=self.queue,
                store=self.store,
                engine=engine,
                catalog=self.catalog,
                picture=self.inputs.read,
                observer=observer,
                notices=notices,
                inspector=self.inspector,
                withdrawn=withdrawn,
                images_dir=settings.images_dir.absolute(),
                timeout=settings.job_timeout,
                idle=settings.idle_minutes * 60 or None,
                previews=partial(_shows_previews, engine),
                permit=self.permits,
                screen=self.screening.screen,
            )

        consumers = [build(lane, engine) for lane, engine in self.lanes]
        return Workers(self.queue, self.store, observer, notices, consumers, withdrawn, build)

    @asynccontextmanager
    async def generating(self, workers: Workers) -> AsyncIterator[None]:
        """Drain the queue, and reload the catalog when it changes, while the block lasts."""
        watching = asyncio.create_task(supervised("watching the catalog", self.catalog.watch))
        try:
            async with workers.running():
                yield
        finally:
            watching.cancel()
            self.inspector.shut_down()
