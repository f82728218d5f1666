"""A bot whose models of one family are denoisers alone, completed by one folder, and a real worker
that has none of them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.distributed import keys
from bot.distributed.broker import Broker
from bot.distributed.bundles import Member
from bot.distributed.inventory import Inventory
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.engine.hashing import HashCache
from bot.order import Order
from catalog import AdapterEntry, Catalog
from tests.distributed.bench import STATE, Lane, announced, as_lane
from tests.distributed.machines import Machine
from tests.distributed.processes import ROOT
from tests.distributed.server import Server
from tests.engine import factories
from tests.language import TEXTS

FOLDER = "z-image"
"""The folder that completes them."""


class Watched(Inventory):
    """asked: the names of the files that were sent, in order."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.models, HashCache(machine.home / "hashes.json"))
        self.asked: list[str] = []

    def file(self, sha256: str) -> Member | None:
        found = super().file(sha256)
        if found is not None:
            self.asked.append(found.path.relative_to(self._models_dir).as_posix())
        return found


def model(key: str, path: str) -> Any:
    return factories.model(key, path, family="zimage", variant="turbo", config=FOLDER)


OFFERED = Catalog(
    {key: model(key, f"{key}.safetensors") for key in ("one", "two")},
    {"ink": AdapterEntry(key="ink", name="Ink", path="ink.safetensors")},
    "one",
)


def build(models: Path) -> None:
    """The folder, two denoisers, and a LoRA that fits them. Imports torch."""
    from tests.engine.families.flux2.files import stored, write
    from tests.engine.families.zimage.files import authors
    from tools.untrained import zimage as tiny_model

    tiny_model.build(models / FOLDER)
    tiny_model.build(models.parent / "other", seed=7)
    for key, folder in (("one", models / FOLDER), ("two", models.parent / "other")):
        write(models / f"{key}.safetensors", authors(stored(folder, "transformer")))
    lora = factories.kohya("transformer.layers.0.adaLN_modulation.0", (128, 32), seed=3, size=3.0)
    named = {"modelspec.architecture": "z-image"}
    factories.save(models / "ink.safetensors", lora, named)


def order(key: str, name: str, seed: int = 11) -> Order:
    asked = factories.request(("ink", 1.0), model=key, guidance=1.0, seed=seed)
    made = factories.ordered(asked, OFFERED)
    return Order(made.request, made.model, made.adapters, name=name)


@dataclass
class Borrower:
    """`main.py worker` in a folder of its own, killed by its own id. log: of all its processes."""

    home: Path
    broker: str
    source: str
    key: str
    log: Path = field(init=False)
    _process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.log = self.home / "log.txt"

    @property
    def fetched(self) -> Path:
        return self.home / "models" / "fetched"

    async def start(self) -> None:
        for name in ("models", "catalog", "data"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        for table in ("models", "loras"):
            (self.home / "catalog" / f"{table}.toml").touch()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("IMAGEN_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / "main.py"),
                "worker",
                "--name",
                "one",
                cwd=self.home,
                env={
                    **kept,
                    "IMAGEN_BROKER": self.broker,
                    "IMAGEN_FETCH_FROM": self.source,
                    "IMAGEN_KEY": self.key,
                    "IMAGEN_DATA_DIR": str(self.home / "data"),
                    "IMAGEN_MODELS_DIR": str(self.home / "models"),
                    "IMAGEN_CATALOG_DIR": str(self.home / "catalog"),
                    "IMAGEN_DEVICE": "cpu",
                    "OMP_NUM_THREADS": "1",
                },
                stdout=log,
                stderr=log,
            )

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            await self._process.wait()

    def files(self) -> list[str]:
        """The names of what is there whole."""
        return sorted(path.name for path in self.fetched.glob("[0-9a-f]*/**/*") if path.is_file())


@asynccontextmanager
async def lane_to_it(
    server: Server, inventory: Inventory, *, after: str = ""
) -> AsyncIterator[Lane]:
    """The bot's end of the worker that is there. after: a session that it no longer is."""
    session = (await announced(server.url, after=after)).session
    queue = keys.queue("one", session, 0)
    engine = RemoteEngine(Broker.at(server.url), queue, STATE, TEXTS, Pace(), inventory=inventory)
    async with as_lane(engine) as found:
        yield found
