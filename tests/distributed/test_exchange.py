"""An order goes to a worker and its result comes back, byte for byte; stops stop it there."""

import asyncio
import hashlib
import logging
import threading
import time
from types import SimpleNamespace

import pytest

from bot.distributed import device, exchange, keys, running
from bot.distributed.broker import Broker
from bot.errors import EngineLost, JobFailed, Loss, PaintStopped, StopReason
from bot.order import Order
from bot.progress import Stage
from bot.request import InitImage
from bot.worker import attempt
from tests.distributed.bench import (
    PACE,
    Painted,
    SteppingEngine,
    expected,
    lane_to,
    order,
    worker,
    working,
)
from tests.distributed.server import Server
from tests.store.factories import CANARY, recipe
from tests.wire.things import png


async def keys_left(server: Server, pattern: str = "imagen:*.*") -> list[str]:
    client = Broker.at(server.url).client(PACE)
    try:
        return sorted(key.decode() for key in await client.keys(pattern))
    finally:
        await client.aclose()


async def test_the_images_are_those_of_the_engine(server: Server) -> None:
    asked, heard = order(count=2), Painted()
    engine = SteppingEngine()
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        done = await lane.paint(asked, heard)
        again = await lane.paint(order("a1b2:2", seed=7))
    assert [each.pixels_sha256 for each in done.images] == expected(asked.request)
    assert [each.pixels_sha256 for each in heard.images] == expected(asked.request)
    assert done.recipe == recipe(asked.request)
    assert [each.seed for each in again.images] == [7]
    assert engine.orders[0] == asked


async def test_nothing_of_a_job_stays_in_the_broker(server: Server) -> None:
    async with working(worker(server.url, SteppingEngine())), lane_to(server.url) as lane:
        await lane.paint(order())
        left = await keys_left(server)
        assert [key.rpartition(":")[2] for key in left] == ["lease"]
        client = Broker.at(server.url).client(PACE)
        for key in await client.keys("*"):
            if await client.type(key) == b"string":
                assert CANARY.encode() not in await client.get(key)
        await client.aclose()


async def test_progress_and_previews_arrive(server: Server) -> None:
    engine, heard = SteppingEngine(0.05), Painted()
    async with working(worker(server.url, engine)), lane_to(server.url, previews=0.0) as lane:
        await lane.paint(order(steps=30), heard)
    steps = [report.step for report in heard.reports if report.stage is Stage.PAINTING]
    assert steps
    assert steps == sorted(steps)
    assert any(report.preview for report in heard.reports)
    # The latest wins: not every step is reported.
    assert len(steps) < 30


async def test_a_cancelled_job_stops_at_its_next_step(server: Server) -> None:
    engine = SteppingEngine(0.05)

    def check() -> None:
        if engine.steps >= 3:
            raise PaintStopped(StopReason.CANCELLED)

    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        with pytest.raises(PaintStopped) as stopped:
            await lane.paint(order(steps=1000), check_stop=check)
        assert stopped.value.reason is StopReason.CANCELLED
        assert engine.ended.is_set()
        assert engine.steps < 100
        # It is there for the next one, which is not mistaken for the one before.
        engine.steps = 0
        done = await lane.paint(order("c3d4:1", steps=2))
    assert len(done.images) == 1


async def test_the_time_of_a_job_begins_once_the_engine_is_free(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    free, taken, looked, ahead = threading.Event(), asyncio.Event(), asyncio.Event(), 0.0
    real = running.Running.hung

    def hung(self: running.Running) -> str | None:
        found = real(self)
        if ahead:
            looked.set()
        return found

    def seconds_for(*_: object) -> float:
        taken.set()
        return 60.0

    def preload() -> None:
        free.wait(20)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead)
    monkeypatch.setattr(device, "seconds_for", seconds_for)
    monkeypatch.setattr(running.Running, "hung", hung)
    for module in (running, attempt):
        monkeypatch.setattr(module, "time", clock)
    work = worker(server.url, SteppingEngine(), preload=preload)
    async with working(work), lane_to(server.url) as lane:
        painting = asyncio.create_task(lane.paint(order()))
        async with asyncio.timeout(20):
            await taken.wait()
            ahead = 10_000.0
            await looked.wait()  # whether it takes too long
        free.set()
        await painting


async def test_one_that_is_not_begun_is_cancelled_too(server: Server) -> None:
    stopping = False

    def check() -> None:
        if stopping:
            raise PaintStopped(StopReason.CANCELLED)

    stop = asyncio.Event()
    working_on = asyncio.create_task(worker(server.url, SteppingEngine()).run(stop))
    async with lane_to(server.url) as lane:
        stop.set()
        await working_on
        painting = asyncio.create_task(lane.paint(order(), check_stop=check))
        async with asyncio.timeout(20):
            while not await keys_left(server, "imagen:*:order"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        stopping = True
        with pytest.raises(PaintStopped):
            await painting


async def test_what_the_engine_raises_is_raised_here(server: Server) -> None:
    engine = SteppingEngine(raises=JobFailed("memory.out", width=64, height=48))
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        with pytest.raises(JobFailed) as failed:
            await lane.paint(order())
        assert failed.value.code == "memory.out"
        assert failed.value.params == {"width": 64, "height": 48}
        engine.raises = OSError(5, "Input/output error")
        with pytest.raises(OSError, match="Input/output"):
            await lane.paint(order("a1b2:2"))


async def test_a_lost_device_is_told_and_ends_the_worker(server: Server) -> None:
    engine = SteppingEngine(raises=EngineLost(Loss.DEVICE, "the GPU failed: unspecified"))
    work = worker(server.url, engine)
    task = asyncio.create_task(work.run(asyncio.Event()))
    async with lane_to(server.url) as lane:
        with pytest.raises(EngineLost) as lost:
            await lane.paint(order())
        assert lost.value.loss is Loss.DEVICE
    with pytest.raises(EngineLost, match="the GPU failed"):
        await task


async def test_logs_have_no_prompt(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("saq", "bot"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    engine = SteppingEngine(raises=ValueError(CANARY))
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        with pytest.raises(Exception, match="ValueError") as raised:
            await lane.paint(order())
    assert CANARY not in caplog.text
    assert CANARY not in str(raised.value)


async def test_input_pictures_cross_with_the_order(server: Server) -> None:
    picture = png()
    sha256 = hashlib.sha256(picture).hexdigest()
    asked = order(init_image=InitImage(sha256, 0.5))
    asked = Order(
        asked.request, asked.model, asked.adapters, pictures={sha256: picture}, name="a:1"
    )
    engine = SteppingEngine()
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        await lane.paint(asked)
    assert engine.orders[0].pictures == {sha256: picture}
    assert keys.picture("", sha256) not in await keys_left(server)


@pytest.mark.parametrize("which", ["order", "picture"])
async def test_what_a_broker_has_lost_is_not_blamed_on_the_job(
    server: Server, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started again between the bot's writing and the worker's reading."""

    def elsewhere(*names: str) -> str:
        return "imagen:one.lost"

    monkeypatch.setattr(exchange, "keys", SimpleNamespace(**{**vars(keys), which: elsewhere}))
    picture = png()
    sha256 = hashlib.sha256(picture).hexdigest()
    asked = order(init_image=InitImage(sha256, 0.5))
    asked = Order(
        asked.request, asked.model, asked.adapters, pictures={sha256: picture}, name="a:1"
    )
    async with working(worker(server.url, SteppingEngine())), lane_to(server.url) as lane:
        with pytest.raises(EngineLost, match="gave the job back") as error:
            await lane.paint(asked)
    assert error.value.innocent
