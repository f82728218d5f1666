"""The roster alone, with what it has asked of the queue, and how far it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bot.distributed import keys
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.distributed.roster import Fits, Roster
from bot.queue import Lane
from bot.worker.engine import ImageEngine
from tests.distributed.bench import PACE
from tests.distributed.server import Server
from tests.language import TEXTS


@dataclass
class FakeLanes:
    """What the roster has asked for. takes: seconds that removing a lane takes."""

    lanes: dict[str, tuple[Lane, RemoteEngine]] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    takes: float = 0.0
    on_look: Callable[[], None] = lambda: None

    def add(self, lane: Lane, engine: ImageEngine) -> None:
        if lane.name in self.lanes:
            raise ValueError(f"there is a lane {lane.name!r} already")
        assert isinstance(engine, RemoteEngine)
        self.lanes[lane.name] = lane, engine
        self.added.append(lane.name)

    def drain(self, lane: Lane, *, drained: bool) -> None:
        lane.draining = drained

    def load(self, lane: Lane, *, loading: bool) -> None:
        lane.loading = loading

    async def remove(self, lane: Lane) -> None:
        await asyncio.sleep(self.takes)
        self.removed.append(lane.name)
        del self.lanes[lane.name]

    def look_again(self) -> None:
        self.on_look()


@asynccontextmanager
async def watching(
    url: str, *, pace: Pace = PACE, fitting: Fits | None = None
) -> AsyncIterator[FakeLanes]:
    lanes = FakeLanes()
    roster = Roster(Broker.at(url), lanes, TEXTS, pace, fitting=fitting)
    task = asyncio.create_task(roster.run())
    try:
        yield lanes
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def put(server: Server, key: str, value: bytes) -> None:
    client = Broker.at(server.url).client(PACE)
    await client.set(key, value, px=PACE.kept_ms)
    await client.aclose()


async def rounds(server: Server, number: int) -> None:
    """Wait until the roster has looked at everything `number` more times."""
    client = Broker.at(server.url).client(PACE)

    async def beat() -> int | None:
        """Of the round that is under way or was the last."""
        said = await client.get(keys.BOT)
        return int(said.partition(b":")[2]) if said else None

    begin: int | None = None
    async with asyncio.timeout(20):
        while (now := await beat()) is None or begin is None or now <= begin + number:
            begin = now if begin is None else begin
            await asyncio.sleep(0.02)
    await client.aclose()
