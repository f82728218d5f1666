"""The engine of a worker in another process, reached through a broker, and a supervisor that starts
the worker again whenever it has ended."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from bot.distributed import announcement, keys
from bot.distributed.announcement import Announcement
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from bot.recipe import Environment
from bot.wire.options import OPTIONS, EngineOptions
from catalog import AdapterEntry, ModelEntry
from tests.distributed.server import Server
from tests.language import TEXTS

PACE = Pace(beat=0.5, silence=8.0, refresh=0.05, kept=60.0)
START_WITHIN = 120.0
ROOT = Path(__file__).parents[2]


class Elsewhere:
    """What a lane and the roster are together: the next call after a loss is for whichever worker
    is there then."""

    def __init__(self, url: str, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self.preview_interval: float | None = 0
        self._url = url
        self._start = start
        self._texts = TEXTS
        self._worker = start()
        self._session = ""
        self._engine: RemoteEngine | None = None
        self._lock = threading.Lock()

    @property
    def environment(self) -> Environment:
        return Environment() if self._engine is None else self._engine.environment

    @property
    def loaded(self) -> str | None:
        return None if self._engine is None else self._engine.loaded

    def gpu_memory(self) -> dict[str, int]:
        return {}

    def warm_up(self) -> None: ...

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None: ...

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None: ...

    def rest(self) -> None: ...

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        with self._lock:
            if self._worker.poll() is not None:
                self._worker = self._start()
                self._session = ""
            engine = self._engine_of_worker()
        engine.preview_interval = self.preview_interval
        return engine.paint(order, report, check_stop, painted)

    def renew(self) -> bool:
        """Give it up, and have its owner end what hangs."""
        if self._engine is not None:
            self._engine.renew()
        self._worker.kill()
        self._worker.wait()
        return True

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._worker.terminate()
        self._worker.wait()

    def _engine_of_worker(self) -> RemoteEngine:
        if self._engine is not None and self._session:
            return self._engine
        said = self._announced()
        self._session = said.session
        if self._engine is not None:
            self._engine.close()
        queue = keys.queue("one", said.session, 0)
        self._engine = RemoteEngine(Broker.at(self._url), queue, said.devices[0], self._texts, PACE)
        return self._engine

    def _announced(self) -> Announcement:
        """What the worker says that is there now: not the one before it."""
        until = time.monotonic() + START_WITHIN
        before: str | None = None
        with Redis.from_url(self._url) as client:
            while time.monotonic() < until:
                assert self._worker.poll() is None, "the worker does not start"
                if data := client.get(keys.announced("one")):
                    said = announcement.decode(data)
                    assert isinstance(said, Announcement)
                    if said.libraries.get("process") == str(self._worker.pid):
                        return said
                    before = said.session
                time.sleep(0.05)
        raise TimeoutError(f"no worker has said that it is there; before it was {before}")


@contextmanager
def on_another_machine(options: EngineOptions) -> Iterator[Elsewhere]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        written = Path(folder) / "options.json"
        written.write_bytes(OPTIONS.encode(options))

        def start() -> "subprocess.Popen[bytes]":
            module = "tests.conformance.faulty_worker"
            command = [sys.executable, "-m", module, server.url, str(written)]
            return subprocess.Popen(command, cwd=ROOT)

        engine = Elsewhere(server.url, start)
        try:
            yield engine
        finally:
            engine.close()
            server.kill()
