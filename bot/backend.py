"""Backend: catalog, store, engines, queue and workers, without anything of Discord.

The bot and the command line both build theirs here, so both generate in the same way.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

from bot.choosing import ADAPTER, Kind, Uses, ranked
from bot.engine import Engine
from bot.engine.image_check import ImageCheck
from bot.files.inputs import Inputs
from bot.levels import Caps, Enforcing, Levels, Rechecking
from bot.moderation.owner_file import NAME as BLOCKED_WORDS
from bot.moderation.owner_file import OwnerFile
from bot.moderation.screening import Screening
from bot.moderation.words import Words
from bot.queue import JobQueue, Lane
from bot.queue.limits import Limits
from bot.settings import Settings
from bot.store import Store
from bot.wire.options import EngineOptions
from bot.worker.consumer import GpuConsumer
from bot.worker.image_check import CheckedInputs, Inspector
from bot.worker.notices import Notices
from bot.worker.observers import JobObserver
from bot.worker.permits import Permits
from bot.worker.workers import Workers
from catalog import Demos, KeptFacts, LiveCatalog, Pace

GIB = 2**30


def engine_options(settings: Settings, preview_interval: float | None = None) -> EngineOptions:
    """preview_interval: seconds between two previews of an image; None for no previews."""
    return EngineOptions(
        models_dir=settings.models_dir.absolute(),
        hashes_file=settings.hashes_file.absolute(),
        device=settings.device,
        dtype=settings.dtype,
        memory=settings.memory,
        compiled=settings.compiled,
        model_cache=None if settings.model_cache is None else int(settings.model_cache * GIB),
        adapter_cache=int(settings.adapter_cache * GIB),
        preview_interval=preview_interval,
        hub_token=settings.hub_token.get_secret_value().strip() if settings.hub_token else None,
    )


def build_engine(settings: Settings, preview_interval: float | None = None) -> Engine:
    """preview_interval: see engine_options."""
    return Engine(**engine_options(settings, preview_interval).arguments())


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


def _shows_previews(engine: Engine) -> bool:
    return engine.preview_interval is not None


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts that generate images. Use as `async with Backend.open(settings) as backend`.

    engines: one for each lane of the queue, in the same order. levels: what servers, channels and
    people have set, which the queue enforces. words: that are blocked, which screening looks for.
    permits: are asked before a job is generated. uses: what people have used.
    """

    settings: Settings
    catalog: LiveCatalog
    store: Store
    levels: Levels
    engines: tuple[Engine, ...]
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
    ) -> AsyncIterator[Self]:
        """limits: see JobQueue. preview_interval: see build_engine.
        demos: how to treat the demo models if the owner's settings do not say.

        Raises StoreError or CatalogError if the store or the catalog cannot be read.
        """
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
            engine = build_engine(settings, preview_interval)
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
            lanes = (Lane("gpu", settings.device, loaded=lambda: engine.loaded),)
            uses = Uses(store)
            yield cls(
                settings=settings,
                catalog=catalog,
                store=store,
                levels=levels,
                engines=(engine,),
                queue=JobQueue(store, lanes, limits, admit=screening, accepted=uses.accepted),
                inputs=inputs,
                words=words,
                screening=screening,
                permits=permits,
                inspector=inspector,
                uses=uses,
            )

    def loaded(self) -> frozenset[str]:
        """Keys of the models on the GPUs."""
        return frozenset(key for engine in self.engines if (key := engine.loaded) is not None)

    async def first_for(self, person: str, kind: Kind) -> tuple[str, ...]:
        """Keys of the models or LoRAs that the person is offered first."""
        loaded = self.loaded_adapters() if kind == ADAPTER else self.loaded()
        return ranked(loaded, (await self.uses.of(person)).used(kind))

    def loaded_adapters(self) -> frozenset[str]:
        """Keys of the LoRAs on the GPUs."""
        return frozenset(key for lane in self.queue.lanes for key in lane.in_place.adapters)

    def gpu_memory(self) -> dict[str, int]:
        """Bytes by kind, summed over all GPUs; see Engine.gpu_memory."""
        total: Counter[str] = Counter()
        for engine in self.engines:
            total.update(engine.gpu_memory())
        return dict(total)

    def workers(self, observer: JobObserver) -> Workers:
        """Workers that drain the queue once run; `observer` is notified about every job."""
        notices, withdrawn = Notices(), set[str]()
        settings = self.settings
        consumers = [
            GpuConsumer(
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
            )
            for lane, engine in zip(self.queue.lanes, self.engines, strict=True)
        ]
        return Workers(self.queue, self.store, observer, notices, consumers, withdrawn)

    @asynccontextmanager
    async def generating(self, workers: Workers) -> AsyncIterator[None]:
        """Drain the queue, and reload the catalog when it changes, while the block lasts."""
        watching = asyncio.create_task(self.catalog.watch())
        try:
            async with workers.running():
                yield
        finally:
            watching.cancel()
            self.inspector.shut_down()
