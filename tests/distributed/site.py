"""A bot with its interface and a worker that lacks its files, for tests of fetching."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bot.distributed.fetched import PARTIAL
from bot.distributed.fetching import Fetcher
from bot.distributed.localising import addressed
from bot.distributed.source import Source
from bot.errors import NotHere, PaintStopped, StopReason
from bot.order import Order
from bot.progress import Progress
from tests.distributed.bot_files import Interface
from tests.distributed.machines import BOT, BOTS, Machine, everything, order_for, sha256

WITH_A_SERVER = pytest.mark.asyncio(loop_scope="module")
"""One for all, which starting takes longer than all tests."""

PLAIN = replace(
    everything("plain"),
    adapters=(),
    embeddings=(),
    reference=None,
    upscale=None,
    hires=None,
    controls=(),
)
"""A request that needs one file, and a configuration from the hub."""
FILE = "checkpoints/plain.safetensors"
DIGEST = sha256(BOT[FILE])


@dataclass
class Heard:
    """What a job is told, and whether it is to stop."""

    reports: list[Progress] = field(default_factory=list)
    stop_at: float = 2.0

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)

    def check_stop(self) -> None:
        if self.reports and self.reports[-1].fraction >= self.stop_at:
            raise PaintStopped(StopReason.CANCELLED)


@dataclass
class Site:
    """A bot with its interface, and a worker without files."""

    bot: Machine
    http: Interface
    worker: Machine
    heard: Heard = field(default_factory=Heard)

    def order(self, asked: Any = PLAIN) -> Order:
        return addressed(order_for(BOTS, asked), self.bot.inventory)

    def fetcher(
        self, url: str | None = None, key: str = "worker", worker: Machine | None = None
    ) -> Fetcher:
        here = worker or self.worker
        assert here.fetched is not None
        source = Source(url or self.http.url, self.http.keys.get(key, key))
        return Fetcher(source, here.fetched, here.inventory)

    async def complete(
        self, order: Order | None = None, url: str | None = None, fetcher: Fetcher | None = None
    ) -> Order:
        """The order with the worker's own files. Raises what its person is told if it has none."""
        fetches = fetcher or self.fetcher(url)
        try:
            return await asyncio.to_thread(completed, fetches, order or self.order(), self.heard)
        except NotHere as missing:
            raise missing.failure or missing from missing
        finally:
            fetches.close()

    @property
    def folder(self) -> Path:
        return self.worker.models / "fetched"

    def partial(self) -> list[int]:
        """Bytes of the files that are not whole."""
        return [path.stat().st_size for path in (self.folder / PARTIAL).glob("*")]


def completed(fetcher: Fetcher, order: Order, heard: Heard) -> Order:
    with fetcher.complete(order, heard.report, heard.check_stop) as local:
        return local


@contextmanager
def exchanged(path: Path, data: bytes, *, secretly: bool) -> Iterator[None]:
    """Another file in place of this one while the block lasts. secretly: not even its time is
    another."""
    before, status = path.read_bytes(), path.stat()
    path.write_bytes(data)
    if secretly:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def read(path: str | None) -> bytes:
    return Path(path or "").read_bytes()


def beside(path: str, name: str) -> str:
    return str(Path(path).with_name(name))
