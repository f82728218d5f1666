"""Workers that die, and brokers: what is gone is no lane, and what is back is one again."""

from dataclasses import replace

import pytest

from bot import __version__
from bot.distributed import announcement, keys
from bot.distributed.announcement import WIRE, Announcement, DeviceState
from bot.distributed.broker import Broker
from bot.errors import EngineLost
from tests.distributed.bench import (
    BRIEF,
    PACE,
    SteppingEngine,
    announced,
    until,
    worker,
    working,
)
from tests.distributed.processes import worker_process
from tests.distributed.server import Server
from tests.distributed.watching import put, rounds, watching

SHA256 = "ab" * 32


async def test_one_that_is_killed_is_gone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        watching(server.url, pace=BRIEF) as lanes,
    ):
        await until(lambda: lanes.lanes)
        await first.kill()
        await until(lambda: not lanes.lanes)
    assert "worker one is gone: nothing was heard of it" in caplog.text


@pytest.mark.long
async def test_one_that_said_nothing_since_it_was_gone_is_not_welcome_again(
    server: Server,
) -> None:
    """What it said may stay in the broker for as long as whoever has its login likes."""
    said = Announcement(WIRE, __version__, "0" * 8, 7, (DeviceState("cpu"),), {})
    await put(server, keys.announced("ghost"), announcement.encode(said))
    brief = replace(BRIEF, silence=1.0)
    async with watching(server.url, pace=brief) as lanes:
        await until(lambda: lanes.removed)
        await rounds(server, 5)
        assert lanes.added == ["ghost.0"]
        again = announcement.encode(replace(said, beat=8))
        await put(server, keys.announced("ghost"), again)
        await until(lambda: lanes.lanes)


@pytest.mark.long
@pytest.mark.parametrize("takes", [0.0, 1.0])
async def test_one_that_was_started_again_is_another(server: Server, takes: float) -> None:
    async with watching(server.url) as lanes:
        lanes.takes = takes
        async with worker_process(server.url) as first:
            await until(lambda: lanes.lanes)
            _, before = lanes.lanes["one.0"]
            said = await announced(server.url)
            await first.kill()
        async with working(worker(server.url, SteppingEngine())):
            await announced(server.url, after=said.session)
            await until(lambda: lanes.lanes and lanes.lanes["one.0"][1] is not before)


@pytest.mark.long
async def test_the_last_words_of_one_that_was_killed_are_no_sign_of_life(server: Server) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        watching(server.url, pace=replace(BRIEF, silence=60.0)) as lanes,
    ):
        await until(lambda: lanes.lanes)
        _, engine = lanes.lanes["one.0"]
        await first.kill()
        said = await announced(server.url)
        await put(server, keys.announced("one"), announcement.encode(said))
        await rounds(server, 1)
        assert engine.renew()
        await rounds(server, 2)
        with pytest.raises(EngineLost, match="nothing was heard"):
            engine.warm_up()


@pytest.mark.long
async def test_a_broker_that_is_started_again_empty_costs_no_lane(server: Server) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await until(lambda: lanes.lanes)
        server.kill()
        server.start()
        await announced(server.url)
        await rounds(server, 2)
        assert lanes.removed == []


async def test_files_are_listed_again_at_once_in_a_broker_that_was_started_again(
    server: Server,
) -> None:
    lists = worker(server.url, SteppingEngine(), digests=lambda: frozenset({SHA256}))
    async with working(lists):
        await announced(server.url)
        server.kill()
        server.start()
        await announced(server.url)
        client = Broker.at(server.url).client(PACE)
        assert await client.get(keys.files("one")) == SHA256.encode()
        await client.aclose()


async def test_without_the_broker_there_are_no_lanes_until_it_is_back(server: Server) -> None:
    async with (
        watching(server.url, pace=BRIEF) as lanes,
        working(worker(server.url, SteppingEngine())),
    ):
        await until(lambda: lanes.lanes)
        server.kill()
        await until(lambda: not lanes.lanes)
        server.start()
        await until(lambda: lanes.lanes)
