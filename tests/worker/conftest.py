"""A running consumer for each test that requests one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.backoff import Backoff
from bot.store import Store
from bot.worker.consumer import GpuConsumer
from bot.worker.notices import Notices
from bot.worker.permits import Permit, permitted
from bot.worker.workers import Workers
from catalog import LiveCatalog
from tests.catalog.fixed import fixed
from tests.queue.lanes import queue_of
from tests.worker.bench import Bench, Build
from tests.worker.checking import FakeClassifier, inspector
from tests.worker.fakes import CATALOG, FakeEngine, Watcher, Work, paint_at_once


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """An async context manager that gives a running Bench."""

    @asynccontextmanager
    async def open_bench(
        work: Work = paint_at_once,
        timeout: float = 600,
        watcher: Any = None,
        idle: float | None = None,
        picture: Callable[[str], bytes] | None = None,
        catalog: LiveCatalog | None = None,
        classifier: FakeClassifier | None = None,
        permit: Permit = permitted,
    ) -> AsyncIterator[Bench]:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            queue, engine = queue_of(store), FakeEngine(work)
            observer, notices, withdrawn = watcher or Watcher(), Notices(), set[str]()
            consumer = GpuConsumer(
                lane=queue.lanes[0],
                queue=queue,
                store=store,
                engine=engine,
                catalog=catalog or fixed(CATALOG),
                picture=picture or (lambda _: b""),
                observer=observer,
                notices=notices,
                inspector=inspector(store, classifier),
                withdrawn=withdrawn,
                images_dir=tmp_path / "images",
                timeout=timeout,
                idle=idle,
                permit=permit,
            )
            workers = Workers(queue, store, observer, notices, [consumer], withdrawn)
            async with AsyncExitStack() as running:
                await running.enter_async_context(workers.running())
                stop = running.aclose
                yield Bench(store, queue, workers, engine, observer, tmp_path / "images", stop)

    return open_bench


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost engine is replaced at once, and noticed soon."""
    monkeypatch.setattr("bot.worker.engine_thread.AGAIN", Backoff(0))
    monkeypatch.setattr("bot.worker.painter.WATCH", 0.01)
