"""What a job needs at a worker, told through the broker: files that are lacking, and readiness."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cli.arguments import parser
from bot.cli.workers import workers
from bot.distributed import keys
from bot.distributed.broker import Broker
from bot.distributed.exchange import Refused
from bot.distributed.lacks import Lacks
from bot.distributed.remote import RemoteEngine
from bot.distributed.roster import Roster
from bot.errors import EngineLost, JobFailed, NotHere
from bot.order import Order
from bot.painting import Painting
from bot.progress import Stage
from bot.queue import Lane as QueueLane
from bot.settings import Settings
from bot.worker.engine import ImageEngine
from tests.distributed.bench import (
    PACE,
    STATE,
    Lane,
    Painted,
    SteppingEngine,
    announced,
    as_lane,
    lane_to,
    order,
    until,
    worker,
    working,
)
from tests.distributed.machines import BOTS, Machine, bot, order_for, put
from tests.distributed.server import Server
from tests.distributed.site import DIGEST, PLAIN
from tests.distributed.watching import FakeLanes
from tests.language import TEXTS

FULL = JobFailed("part.disk_full", name="plain", size=6.5, free=1.0)


@asynccontextmanager
async def lane_for(server: Server, machine: Machine, lacks: Lacks) -> AsyncIterator[Lane]:
    """The bot's end, which sends digests in place of paths."""
    queue = keys.queue("one", (await announced(server.url)).session, 0)
    engine = RemoteEngine(
        Broker.at(server.url), queue, STATE, TEXTS, PACE, inventory=machine.inventory, lacks=lacks
    )
    async with as_lane(engine) as lane:
        yield lane


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return bot(tmp_path / "bot").ready()


async def test_a_file_that_a_worker_cannot_get_is_told_with_the_reason(
    server: Server, here: Machine
) -> None:
    lacking, lacks, engine = [True], Lacks(), SteppingEngine()

    @contextmanager
    def complete(order: Order, _: object, __: object) -> Iterator[Order]:
        if lacking:
            raise NotHere(FULL, DIGEST)
        yield order

    asked = order_for(BOTS, PLAIN)
    async with (
        working(worker(server.url, engine, complete=complete)),
        lane_for(server, here, lacks) as lane,
    ):
        with pytest.raises(NotHere) as missing:
            await lane.paint(asked)
        assert missing.value.failure is not None
        assert (missing.value.failure.code, missing.value.failure.params) == (
            FULL.code,
            FULL.params,
        )
        assert lacks.now == {DIGEST}
        # The worker is as good as before for other jobs.
        lacking.clear()
        await lane.paint(asked)
        assert lacks.now == frozenset()
    assert len(engine.orders) == 1


async def test_what_an_order_does_not_need_it_cannot_lack(server: Server, here: Machine) -> None:
    """Else the same job would come back to it for ever."""

    def complete(*_: object) -> AbstractContextManager[Order]:
        raise NotHere(FULL, "0" * 64)

    lacks = Lacks()
    async with (
        working(worker(server.url, SteppingEngine(), complete=complete)),
        lane_for(server, here, lacks) as lane,
    ):
        with pytest.raises(EngineLost, match="lacks what the order does not need"):
            await lane.paint(order_for(BOTS, PLAIN))
    assert lacks.now == frozenset()


async def test_a_worker_that_used_other_weights_is_refused_in_words(
    server: Server, here: Machine
) -> None:
    class Lying(SteppingEngine):
        def paint(self, *call: Any) -> Painting:
            done = super().paint(*call)
            assert done.recipe.checkpoint is not None
            other = replace(done.recipe.checkpoint, sha256="b" * 64)
            return replace(done, recipe=replace(done.recipe, checkpoint=other))

    heard = Painted()
    used = f"it used plain with the sha256 {'b' * 12}…"
    said = f"checkpoint: {used}, and the order has {DIGEST[:12]}…"
    async with (
        working(worker(server.url, Lying())),
        lane_for(server, here, Lacks()) as lane,
    ):
        with pytest.raises(EngineLost, match=said) as error:
            await lane.paint(order_for(BOTS, PLAIN), heard)
    assert isinstance(error.value, Refused)
    assert heard.images == []


async def test_a_file_that_has_changed_is_sent_once_it_is_hashed(
    server: Server, here: Machine
) -> None:
    put(here.models, {"checkpoints/plain.safetensors": b"changed"})
    here.inventory.update(BOTS)
    async with (
        working(worker(server.url, SteppingEngine())),
        lane_for(server, here, Lacks()) as lane,
    ):
        with pytest.raises(NotHere) as missing:
            await lane.paint(order_for(BOTS, PLAIN))
        assert missing.value.failure is None
        here.ready()
        await lane.paint(order_for(BOTS, PLAIN))


async def test_files_are_in_use_until_the_images_are_there(server: Server) -> None:
    using: list[bool] = []
    in_use = False

    class Looking(SteppingEngine):
        def paint(self, *call: object) -> object:  # type: ignore[override]
            using.append(in_use)
            return super().paint(*call)  # type: ignore[arg-type]

    @contextmanager
    def complete(order: Order, _: object, __: object) -> Iterator[Order]:
        nonlocal in_use
        in_use = True
        yield order
        in_use = False

    async with (
        working(worker(server.url, Looking(), complete=complete)),
        lane_to(server.url) as lane,
    ):
        await lane.paint(order())
    assert using == [True]
    assert not in_use


async def test_the_time_of_a_job_begins_with_a_report(server: Server) -> None:
    """At the bot too, which counts from then on."""
    heard = Painted()

    @contextmanager
    def complete(order: Order, _: object, __: object) -> Iterator[Order]:
        for _ in range(500):
            if heard.reports:
                break
            time.sleep(0.02)
        yield order

    work = worker(server.url, SteppingEngine(), complete=complete)
    async with working(work), lane_to(server.url) as lane:
        await lane.paint(order(), heard)
    assert heard.reports[0].stage is Stage.STARTING


async def test_a_worker_is_no_lane_for_jobs_while_it_loads(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    ready, added = threading.Event(), list[bool]()

    class Noting(FakeLanes):
        def add(self, lane: QueueLane, engine: ImageEngine) -> None:
            added.append(lane.loading)
            super().add(lane, engine)

    def preload() -> None:
        ready.wait(30)

    lanes = Noting()
    settings = Settings.model_validate({"IMAGEN_BROKER": server.url})
    work = worker(server.url, SteppingEngine(), preload=preload)
    roster = asyncio.create_task(Roster(Broker.at(server.url), lanes, TEXTS, PACE).run())
    try:
        async with working(work):
            await until(lambda: lanes.lanes)
            [(lane, _)] = lanes.lanes.values()
            assert lane.loading
            assert added == [True]  # not even for a moment was it ready
            await workers(parser().parse_args(["workers", "list"]), settings)
            assert "cpu loading" in capsys.readouterr().out
            ready.set()
            await until(lambda: not lane.loading)
            await workers(parser().parse_args(["workers", "list"]), settings)
            assert "cpu nothing loaded" in capsys.readouterr().out
    finally:
        roster.cancel()
        await asyncio.wait([roster])
