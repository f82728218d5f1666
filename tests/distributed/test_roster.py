"""Workers come and go as lanes, and get the jobs whose files they have."""

import asyncio
import logging

import pytest

from bot.distributed import keys
from bot.distributed.broker import Broker
from bot.queue.policy import InPlace, Waiting
from bot.recipe import Environment
from tests.distributed.bench import (
    PACE,
    SteppingEngine,
    as_lane,
    order,
    until,
    worker,
    working,
)
from tests.distributed.server import Server
from tests.distributed.watching import put, watching

SHA256 = "ab" * 32


async def test_its_environment_is_told_before_anything_was_generated(server: Server) -> None:
    engine = SteppingEngine()
    formats = {"zimage": {"transformer_dtype": "bfloat16, int8"}, "sdxl": {}}
    engine.environment = Environment("5e1f", formats)
    async with watching(server.url) as lanes, working(worker(server.url, engine)):
        await until(lambda: lanes.lanes)
        [(lane, remote)] = lanes.lanes.values()
        assert lane.environment == remote.environment == engine.environment


async def test_every_device_is_a_lane(server: Server) -> None:
    two = worker(server.url, SteppingEngine(), SteppingEngine())
    async with watching(server.url) as lanes, working(two):
        await until(lambda: len(lanes.lanes) == 2)
        assert sorted(lanes.lanes) == ["one.0", "one.1"]
        lane, engine = lanes.lanes["one.1"]
        assert (lane.device, lane.isolated, lane.memory) == ("cpu", True, None)
        async with as_lane(engine) as painting:
            await painting.paint(order())
        await until(lambda: lane.environment.machine)
        await until(lambda: lane.in_place == InPlace("demo"))
    assert lanes.removed == []


async def test_one_that_leaves_gets_no_more_jobs_and_is_gone(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with watching(server.url) as lanes:
        async with working(worker(server.url, engine)) as stop:
            await until(lambda: lanes.lanes)
            lane, remote = lanes.lanes["one.0"]
            async with as_lane(remote) as painting:
                last = asyncio.create_task(painting.paint(order(steps=40)))
                await asyncio.to_thread(engine.began.wait, 20)
                stop.set()
                await until(lambda: lane.draining)
                await last
        await until(lambda: not lanes.lanes)


async def test_the_owner_can_drain_one(server: Server) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await until(lambda: lanes.lanes)
        lane, _ = lanes.lanes["one.0"]
        client = Broker.at(server.url).client(PACE)
        await client.set(keys.drained("one"), "1")
        await until(lambda: lane.draining)
        await client.delete(keys.drained("one"))
        await until(lambda: not lane.draining)
        await client.aclose()


async def test_jobs_go_where_their_files_are(server: Server) -> None:
    asked: list[frozenset[str]] = []

    def fitting(files: frozenset[str], _: object, __: bool, ___: Waiting) -> bool:
        asked.append(files)
        return SHA256 in files

    job = Waiting("a", "p", 1, "demo")
    lists = worker(server.url, SteppingEngine(), digests=lambda: frozenset({SHA256}))
    async with watching(server.url, fitting=fitting) as lanes, working(lists):
        await until(lambda: lanes.lanes)
        lane, _ = lanes.lanes["one.0"]
        assert lane.able is not None
        able = lane.able
        await until(lambda: able(job))
    assert asked[-1] == frozenset({SHA256})


async def test_what_waits_is_looked_at_again_once_the_files_for_it_are_known(
    server: Server,
) -> None:
    """Nothing else may happen by then that would have the queue do so."""
    known, could_run, here = asyncio.Event(), asyncio.Event(), set[str]()
    job = Waiting("a", "p", 1, "demo")

    def fits(files: frozenset[str], _: object, __: bool, ___: Waiting) -> bool:
        return SHA256 in files

    lists = worker(server.url, SteppingEngine(), digests=lambda: frozenset(here))
    async with watching(server.url, fitting=fits) as lanes, working(lists):
        await until(lambda: lanes.lanes)
        lane, _ = lanes.lanes["one.0"]

        def look() -> None:
            known.set()
            if lane.able is not None and lane.able(job):
                could_run.set()

        lanes.on_look = look
        await asyncio.wait_for(known.wait(), 20)
        assert not could_run.is_set()
        here.add(SHA256)
        await asyncio.wait_for(could_run.wait(), 20)


async def test_two_bots_at_one_broker_are_one_too_many(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await until(lambda: lanes.lanes)
        async with watching(server.url) as others:
            await until(lambda: "another bot uses the broker" in caplog.text)
            assert others.lanes == {}
        assert lanes.removed == []


async def test_what_dead_queues_have_left_is_deleted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await put(server, "saq:job:gone.0123abcd.0:gone.0123abcd.0:x:1", b"{}")
    await put(server, "saq:somebody-elses", b"{}")
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await until(lambda: lanes.lanes)
        client = Broker.at(server.url).client(PACE)
        assert await client.keys("saq:job:gone*") == []
        assert await client.keys("saq:somebody*") != []
        await client.aclose()
