"""Workers, networks, brokers and bots fail in every way, and of each job one result is wanted."""

import asyncio
import signal
from typing import Any

import pytest
from redis import ConnectionError as NotConnected
from saq import Job

from bot.distributed import manage
from bot.distributed.broker import Broker
from bot.distributed.device import Device
from bot.distributed.exchange import Exchange
from bot.errors import EngineLost, Loss, SettingsError
from tests.distributed.bench import (
    BRIEF,
    LONG,
    PACE,
    Painted,
    SteppingEngine,
    announced,
    expected,
    lane_to,
    order,
    until,
    worker,
    working,
)
from tests.distributed.processes import program, worker_process
from tests.distributed.proxy import Proxy
from tests.distributed.server import Server

CUT_OFF = "the broker cannot be reached"
"""What a worker says at each sign of life of a job that it cannot give."""


async def lost(painting: "asyncio.Task[object]") -> EngineLost:
    with pytest.raises(EngineLost) as error:
        async with asyncio.timeout(30):
            await painting
    assert error.value.loss is Loss.WORKER
    assert not error.value.sure
    return error.value


@pytest.mark.long
async def test_a_killed_worker_is_noticed_and_the_job_can_go_on_elsewhere(server: Server) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        working(worker(server.url, SteppingEngine(), name="two")),
        lane_to(server.url, pace=BRIEF) as lane,
        lane_to(server.url, "two") as other,
    ):
        painting = asyncio.create_task(lane.paint(order(steps=LONG)))
        await first.said("a1b2:1 3")
        first.send(signal.SIGKILL)
        error = await lost(painting)
        assert "nothing was heard" in str(error)
        assert not error.innocent  # it may be what killed the worker
        done = await other.paint(order("a1b2:2"))
    assert [each.pixels_sha256 for each in done.images] == expected(order().request)


@pytest.mark.long
async def test_a_job_that_a_worker_never_took_did_not_end_it(server: Server) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        lane_to(server.url, pace=BRIEF) as lane,
    ):
        await first.kill()
        error = await lost(asyncio.create_task(lane.paint(order())))
    assert "nothing was heard" in str(error)
    assert error.innocent


@pytest.mark.long
async def test_a_stalled_worker_that_comes_back_late_is_fenced_off(server: Server) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        lane_to(server.url, pace=BRIEF) as lane,
    ):
        painting = asyncio.create_task(lane.paint(order(steps=LONG)))
        await first.said("a1b2:1 3")
        first.send(signal.SIGSTOP)
        await lost(painting)
        first.send(signal.SIGCONT)
        await first.said("a1b2:1 ended")
        # Whatever it wrote meanwhile, the next attempt has a key of its own.
        done = await lane.paint(order("a1b2:2", steps=2))
    assert [each.pixels_sha256 for each in done.images] == expected(order().request)


async def test_a_cut_network_stops_both_ends(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with Proxy.before(server.port) as network:
        way = server.at(network.port)
        async with (
            working(worker(way, engine, pace=BRIEF)),
            lane_to(server.url, pace=BRIEF) as lane,
        ):
            painting = asyncio.create_task(lane.paint(order(steps=LONG)))
            await asyncio.to_thread(engine.began.wait, 30)
            network.cut()
            await lost(painting)
            # The worker paints for nobody.
            assert await asyncio.to_thread(engine.ended.wait, 30)
            network.mend()
            await announced(server.url)
            engine.steps = 0
            done = await lane.paint(order("a1b2:2", steps=2))
    assert [each.pixels_sha256 for each in done.images] == expected(order().request)


@pytest.mark.long
async def test_a_network_that_stutters_costs_nothing(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with Proxy.before(server.port) as network:
        way = server.at(network.port)
        async with working(worker(way, engine)), lane_to(server.url) as lane:
            painting = asyncio.create_task(lane.paint(order(steps=40)))
            await asyncio.to_thread(engine.began.wait, 30)
            network.cut()
            await until(lambda: network.held >= 2)
            network.mend()
            await painting
    assert len(engine.orders) == 1


@pytest.mark.long
async def test_a_bot_that_is_cut_off_gives_the_job_up(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with (
        Proxy.before(server.port) as network,
        working(worker(server.url, engine, pace=BRIEF)),
        lane_to(server.at(network.port), pace=BRIEF) as lane,
    ):
        painting = asyncio.create_task(lane.paint(order(steps=LONG)))
        await asyncio.to_thread(engine.began.wait, 30)
        network.cut()
        await lost(painting)
        assert await asyncio.to_thread(engine.ended.wait, 30)
        network.mend()


@pytest.mark.long
async def test_a_broker_that_is_started_again_empty_loses_no_job(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    engine, heard = SteppingEngine(0.05), Painted()
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        painting = asyncio.create_task(lane.paint(order(steps=60), heard))
        await asyncio.to_thread(engine.began.wait, 30)
        server.kill()
        await until(lambda: CUT_OFF in caplog.text)
        server.start()
        done = await painting
        assert [each.pixels_sha256 for each in done.images] == expected(order().request)
        await lane.paint(order("c3d4:1"))
    assert len(engine.orders) == 2


@pytest.mark.long
async def test_nor_does_one_that_the_worker_has_again_before_the_bot(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine, lease, away = SteppingEngine(0.05), Exchange._lease, False
    report, reported = Device._report, 0

    async def reports(device: Device, job: Job, running: Any, beat: int) -> None:
        nonlocal reported
        await report(device, job, running, beat)
        reported += 1

    monkeypatch.setattr(Device, "_report", reports)

    async def cannot(exchange: Exchange, holder: str) -> None:
        if away:
            raise NotConnected
        await lease(exchange, holder)

    monkeypatch.setattr(Exchange, "_lease", cannot)
    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        painting = asyncio.create_task(lane.paint(order(steps=50)))
        await asyncio.to_thread(engine.began.wait, 30)
        away = True
        server.kill()
        await until(lambda: caplog.text.count(CUT_OFF) >= 3)
        server.start()
        reported = 0
        beats = 3 * PACE.beat / PACE.refresh  # two reports are `refresh` apart, or more
        await until(lambda: reported >= beats or painting.done())
        away = False
        done = await painting
    assert [each.pixels_sha256 for each in done.images] == expected(order().request)
    assert len(engine.orders) == 1


async def test_a_broker_that_is_gone_for_long_gives_the_job_back(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with (
        working(worker(server.url, engine, pace=BRIEF)),
        lane_to(server.url, pace=BRIEF) as lane,
    ):
        painting = asyncio.create_task(lane.paint(order(steps=LONG)))
        await asyncio.to_thread(engine.began.wait, 30)
        server.kill()
        assert (await lost(painting)).innocent
        assert await asyncio.to_thread(engine.ended.wait, 30)
        server.start()
        await announced(server.url)
        await lane.paint(order("a1b2:2", steps=2))


@pytest.mark.long
@pytest.mark.parametrize("ahead", [-86_400, 86_400])
async def test_clocks_may_differ_by_a_day(server: Server, ahead: float) -> None:
    # For longer than SAQ would bear without a heartbeat, by a clock that is right.
    async with worker_process(server.url, ahead=ahead, pace=BRIEF) as other:
        async with lane_to(server.url, pace=BRIEF) as lane:
            done = await lane.paint(order(steps=60))
        assert [each.pixels_sha256 for each in done.images] == expected(order().request)
        other.send(signal.SIGTERM)
        assert await other.ended() == 0


@pytest.mark.long
async def test_a_worker_that_is_told_to_stop_finishes_what_it_has(server: Server) -> None:
    async with worker_process(server.url) as one, lane_to(server.url) as lane:
        said = await announced(server.url)
        painting = asyncio.create_task(lane.paint(order(steps=20)))
        await one.said("a1b2:1 3")
        one.send(signal.SIGTERM)
        done = await painting
        assert [each.pixels_sha256 for each in done.images] == expected(order().request)
        assert await one.ended() == 0
    assert (await announced(server.url)).leaving
    # Whoever is called so next need not wait.
    async with working(worker(server.url, SteppingEngine())):
        assert not (await announced(server.url, after=said.session)).leaving


async def test_what_it_cannot_finish_it_hands_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.distributed.worker.FINISH_WITHIN", 0.3)
    engine = SteppingEngine(0.05)
    async with working(worker(server.url, engine)) as stop, lane_to(server.url) as lane:
        painting = asyncio.create_task(lane.paint(order(steps=LONG)))
        await asyncio.to_thread(engine.began.wait, 30)
        stop.set()
        error = await lost(painting)
        assert "gave the job back" in str(error)
        assert error.innocent


@pytest.mark.long
async def test_a_bot_that_is_killed_stops_its_worker(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with working(worker(server.url, engine, pace=BRIEF)):
        await announced(server.url)
        async with program(server.url, "tests.distributed.bot_process") as bot:
            await asyncio.to_thread(engine.began.wait, 30)
            bot.send(signal.SIGKILL)
            assert await asyncio.to_thread(engine.ended.wait, 30)
        # And the next one has the job made once.
        engine.steps = 0
        async with lane_to(server.url) as lane:
            await lane.paint(order("a1b2:2", steps=2))
    assert [each.name for each in engine.orders] == ["a1b2:1", "a1b2:2"]


async def test_two_workers_of_a_name_are_one_too_many(server: Server) -> None:
    async with working(worker(server.url, SteppingEngine())):
        await announced(server.url)
        with pytest.raises(Exception, match="another worker is called 'one' already"):
            await worker(server.url, SteppingEngine()).run(asyncio.Event())


async def test_of_two_workers_that_take_a_name_at_once_one_leaves(server: Server) -> None:
    both = [worker(server.url, SteppingEngine()) for _ in range(2)]
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.run(stop)) for each in both]
    done, [stays] = await asyncio.wait(tasks, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    [left] = done
    assert "another worker is called 'one' now" in str(left.exception())
    stop.set()
    await stays


async def test_a_worker_whose_login_was_removed_says_so_and_ends(server: Server) -> None:
    broker = Broker.at(server.url)
    own = await manage.allow(broker, "one")
    running = asyncio.create_task(worker(own, SteppingEngine()).run(asyncio.Event()))
    await announced(server.url)
    await manage.remove(broker, "one")
    with pytest.raises(SettingsError, match="refuses the login now"):
        await asyncio.wait_for(running, 20)


@pytest.mark.long
async def test_a_killed_worker_can_come_back_at_once(server: Server) -> None:
    async with worker_process(server.url, pace=BRIEF) as first:
        before = await announced(server.url)
        await first.kill()
        async with working(worker(server.url, SteppingEngine(), pace=BRIEF)):
            after = await announced(server.url, after=before.session)
            assert after.session != before.session
            async with lane_to(server.url) as lane:
                await lane.paint(order())


async def test_a_worker_whose_device_takes_no_jobs_any_more_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing(_: Device) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Device, "run", failing)
    async with asyncio.timeout(20):
        with pytest.raises(EngineLost, match="takes no jobs"):
            await worker(server.url, SteppingEngine()).run(asyncio.Event())
    assert "ValueError: a bug" in caplog.text
