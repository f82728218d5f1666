"""RemoteEngine: the engine of a worker on another machine, as if it were here."""

import asyncio
import contextvars
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from bot.distributed.announcement import DeviceState
from bot.distributed.broker import Broker
from bot.distributed.exchange import Exchange, GivenBack, Refused, hints_of, lost, refused
from bot.distributed.expecting import expected_of
from bot.distributed.inventory import Inventory
from bot.distributed.lacks import Lacks
from bot.distributed.localising import NotHashed, addressed, digests_of, named_as
from bot.distributed.pace import Pace
from bot.errors import EngineLost, NotHere
from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from bot.recipe import Environment
from bot.texts.language import Texts
from catalog import AdapterEntry, ModelEntry

BORNE_MAX: Final = 20
REFUSED_COUNTS: Final = 4


class Conduct:
    """How often in a row a worker has given back its jobs, or sent what was refused, under whatever
    sessions and on all its devices. Any thread."""

    def __init__(self) -> None:
        self._bad = 0

    @property
    def unbearable(self) -> bool:
        return self._bad >= BORNE_MAX

    def did_well(self) -> None:
        self._bad = 0

    def did_badly(self, error: EngineLost) -> None:
        """What it did counts for nothing if it was only lost."""
        if isinstance(error, Refused):
            self._bad += REFUSED_COUNTS
        elif isinstance(error, GivenBack):
            self._bad += 1


class RemoteEngine:
    """See `bot.worker.engine.ImageEngine`. It has an event loop of its own in the lane's thread, so
    that whatever a worker sends is read there and never holds up the bot's.

    queue: of the worker's device. state: of it, as it was announced. inventory: of the bot's files,
    with whose digests orders are sent; None: with their paths. conduct, lacks: of the worker, which
    are told how each job went.
    """

    def __init__(
        self,
        broker: Broker,
        queue: str,
        state: DeviceState,
        texts: Texts,
        pace: Pace,
        *,
        preview_interval: float | None = None,
        inventory: Inventory | None = None,
        conduct: Conduct | None = None,
        lacks: Lacks | None = None,
    ) -> None:
        self.preview_interval = preview_interval
        self.queue = queue
        self._state = state
        self._inventory = inventory
        self._conduct = conduct or Conduct()
        self._lacks = lacks or Lacks()
        self._painted_with: str | None = None
        self._heard_at = time.monotonic()
        self._lost_at: float | None = None
        self._broker = broker
        self._texts = texts
        self._pace = pace
        self._gone: str | None = None
        self._given_up = False
        self._runner = asyncio.Runner()
        self._client: Redis | None = None
        self._hints: PubSub | None = None

    @property
    def environment(self) -> Environment:
        """As the worker has told it."""
        return self._state.told

    @property
    def loaded(self) -> str | None:
        return self._state.loaded if self._painted_with is None else self._painted_with

    def gpu_memory(self) -> dict[str, int]:
        """Nothing: those of a worker are its owner's to watch."""
        return {}

    def warm_up(self) -> None:
        """A worker does so when it starts. Raises EngineLost if one that was lost has said nothing
        since, or is still at what it was told to stop."""
        if self._gone is not None:
            raise lost(self._gone)
        if self._lost_at is None:
            return
        if self._heard_at < self._lost_at:
            raise lost("nothing was heard of the worker since it was lost")
        if self._state.busy:
            raise lost("the worker has not yet stopped what it was told to")
        self._lost_at = None

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None:
        """A worker loads the default model of its own catalog when it starts."""

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        """A worker reads its files itself."""

    def rest(self) -> None:
        """A worker rests by its own IMAGEN_IDLE_MINUTES."""

    def heard(self, state: DeviceState) -> None:
        """What the worker says of the device now. Any thread."""
        self._state, self._heard_at, self._painted_with = state, time.monotonic(), None

    def lose(self, why: str) -> None:
        """The worker is gone, and will not be back under this queue. Any thread."""
        self._gone = why

    def renew(self) -> bool:
        """Give up the order that is waited for; the next one may do better. Any thread."""
        self._given_up, self._lost_at = True, time.monotonic()
        return True

    def close(self) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _close(self) -> None:
        if self._hints is not None:
            await self._hints.aclose()  # type: ignore[no-untyped-call]
        if self._client is not None:
            await self._client.aclose()

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        """As `bot.engine.Engine.paint`. Raises EngineLost with Loss.WORKER if the worker or the way
        to it is lost, if it gives the job back, and if what it sends is not what was asked for; and
        NotHere."""
        self._given_up = False
        check_stop()
        work = self._paint(order, report, check_stop, painted)
        return self._runner.run(work, context=contextvars.copy_context())

    async def _paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        if self._client is None:
            self._client = self._broker.client(self._pace)
        inventory = self._inventory
        sent = order if inventory is None else _addressed(order, inventory)
        needed = frozenset[str]() if inventory is None else digests_of(sent)
        expected = None if inventory is None else expected_of(order, inventory)
        exchange = Exchange(
            client=self._client,
            hints=partial(self._hear, self._client),
            queue=self.queue,
            order=sent,
            texts=self._texts,
            pace=self._pace,
            report=report,
            check_stop=check_stop,
            why_lost=self._why_lost,
            previews=self.preview_interval,
            expected=expected,
        )
        try:
            painting = await self._run(exchange, painted, needed)
        except EngineLost as error:
            self._conduct.did_badly(error)
            raise
        self._conduct.did_well()
        self._lacks.forget(needed)
        self._painted_with = order.request.model or None
        if inventory is None:
            return painting
        return replace(painting, recipe=named_as(painting.recipe, order))

    async def _run(
        self, exchange: Exchange, painted: OnPainted, needed: Collection[str]
    ) -> Painting:
        try:
            return await exchange.run(painted)
        except NotHere as missing:
            if missing.digest not in needed:
                raise refused("the worker lacks what the order does not need") from missing
            self._lacks.note(missing.digest)
            raise

    async def _hear(self, client: Redis) -> PubSub:
        if self._hints is None:
            self._hints = await hints_of(client, self.queue)
        return self._hints

    def _why_lost(self) -> str | None:
        return self._gone or ("it was given up" if self._given_up else None)


def _addressed(order: Order, inventory: Inventory) -> Order:
    """Raises NotHere if a file has changed since it was hashed, and JobFailed if it has gone."""
    try:
        return addressed(order, inventory)
    except NotHashed as error:
        raise NotHere(None, text=str(error)) from error
