"""Studio: what paints – catalog, store, engine, queue, consumer – and nothing of Discord.

The bot and the command line both build theirs here, so both paint in the same way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from bot.engine import Engine
from bot.files.inputs import Inputs
from bot.queue import JobQueue
from bot.queue.limits import Limits
from bot.settings import Settings
from bot.store import Store
from bot.worker.consumer import GpuConsumer, JobObserver
from catalog import Demos, LiveCatalog

GIB = 2**30


def build_engine(settings: Settings, preview_interval: float | None = None) -> Engine:
    """preview_interval: seconds between two previews of a picture; None for no previews."""
    return Engine(
        models_dir=settings.models_dir.absolute(),
        hashes_file=settings.data_dir.absolute() / "hashes.json",
        device=settings.device,
        dtype=settings.dtype,
        memory=settings.memory,
        compiled=settings.compiled,
        model_cache=None if settings.model_cache is None else int(settings.model_cache * GIB),
        adapter_cache=int(settings.adapter_cache * GIB),
        preview_interval=preview_interval,
    )


@dataclass(frozen=True, slots=True)
class Studio:
    """The parts, built in order; `open` closes them in reverse."""

    catalog: LiveCatalog
    store: Store
    engine: Engine
    queue: JobQueue
    inputs: Inputs

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        limits: Limits | None = None,
        preview_interval: float | None = None,
        demos: Demos = "hidden",
    ) -> AsyncIterator[Self]:
        """limits: of the queue, where several people share it. preview_interval: see build_engine.
        demos: what becomes of the demo models, unless the owner set that.

        Raises StoreError or CatalogError when there is nothing to work with.
        """
        catalog = await asyncio.to_thread(
            LiveCatalog,
            settings.catalog_dir.absolute(),
            settings.models_dir.absolute(),
            settings.demos(demos),
        )
        async with Store.open(settings.database.absolute()) as store:
            engine = build_engine(settings, preview_interval)
            yield cls(
                catalog=catalog,
                store=store,
                engine=engine,
                queue=JobQueue(store, limits, loaded=lambda: engine.loaded),
                inputs=Inputs(settings.inputs_dir.absolute()),
            )

    async def tidy(self) -> None:
        """Delete the pictures that people gave and no job refers to."""
        await self.inputs.sweep(await self.store.inputs())

    @asynccontextmanager
    async def consuming(
        self, settings: Settings, observer: JobObserver
    ) -> AsyncIterator[GpuConsumer]:
        """Drain the queue for as long as the block lasts; `observer` hears of every job."""
        consumer = GpuConsumer(
            queue=self.queue,
            store=self.store,
            engine=self.engine,
            catalog=lambda: self.catalog.current,
            picture=self.inputs.read,
            observer=observer,
            images_dir=settings.images_dir.absolute(),
            timeout=settings.job_timeout,
            idle=settings.idle_minutes * 60 or None,
        )
        watching = asyncio.create_task(self.catalog.watch())
        painting = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            watching.cancel()
            await consumer.stop(painting)
