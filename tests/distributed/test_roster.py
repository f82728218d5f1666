"""Workers come and go as lanes; one that does not fit is refused, by name."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from bot import __version__
from bot.distributed import announcement, keys, manage
from bot.distributed.announcement import WIRE, Announcement, DeviceState
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.distributed.roster import Fits, Roster
from bot.errors import EngineLost
from bot.queue import Lane
from bot.queue.policy import InPlace, Waiting
from bot.worker.engine import ImageEngine
from tests.distributed.bench import (
    PACE,
    TEXTS,
    SteppingEngine,
    announced,
    as_lane,
    order,
    worker,
    working,
)
from tests.distributed.processes import worker_process
from tests.distributed.server import Server

pytestmark = pytest.mark.long


BRIEF = Pace(beat=0.2, silence=1.5, refresh=0.05, kept=60.0)
SHA256 = "ab" * 32


@dataclass
class FakeLanes:
    """What the roster has asked for. takes: seconds that removing a lane takes."""

    lanes: dict[str, tuple[Lane, RemoteEngine]] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    takes: float = 0.0
    on_look: Callable[[], None] = lambda: None

    def add(self, lane: Lane, engine: ImageEngine) -> None:
        if lane.name in self.lanes:
            raise ValueError(f"there is a lane {lane.name!r} already")
        assert isinstance(engine, RemoteEngine)
        self.lanes[lane.name] = lane, engine

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

    async def until(self, happened: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not happened():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


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


async def test_its_environment_is_told_before_anything_was_generated(server: Server) -> None:
    engine = SteppingEngine()
    engine.environment = "5e1f"
    async with watching(server.url) as lanes, working(worker(server.url, engine)):
        await lanes.until(lambda: lanes.lanes)
        [(lane, remote)] = lanes.lanes.values()
        assert lane.environment == remote.environment == "5e1f"


async def rounds(server: Server, number: int) -> None:
    """Wait until the roster has looked `number` more times."""
    client = Broker.at(server.url).client(PACE)

    async def beat() -> int:
        return int((await client.get(keys.BOT) or b"x:0").partition(b":")[2])

    until = await beat() + number
    async with asyncio.timeout(20):
        while await beat() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await client.aclose()


async def test_every_device_is_a_lane(server: Server) -> None:
    two = worker(server.url, SteppingEngine(), SteppingEngine())
    async with watching(server.url) as lanes, working(two):
        await lanes.until(lambda: len(lanes.lanes) == 2)
        assert sorted(lanes.lanes) == ["one.0", "one.1"]
        lane, engine = lanes.lanes["one.1"]
        assert (lane.device, lane.isolated, lane.memory) == ("cpu", True, None)
        async with as_lane(engine) as painting:
            await painting.paint(order())
        await lanes.until(lambda: lane.environment)
        await lanes.until(lambda: lane.in_place == InPlace("demo"))
    assert lanes.removed == []


async def test_one_that_leaves_gets_no_more_jobs_and_is_gone(server: Server) -> None:
    engine = SteppingEngine(0.05)
    async with watching(server.url) as lanes:
        async with working(worker(server.url, engine)) as stop:
            await lanes.until(lambda: lanes.lanes)
            lane, remote = lanes.lanes["one.0"]
            async with as_lane(remote) as painting:
                last = asyncio.create_task(painting.paint(order(steps=40)))
                await asyncio.to_thread(engine.began.wait, 20)
                stop.set()
                await lanes.until(lambda: lane.draining)
                await last
        await lanes.until(lambda: not lanes.lanes)


@pytest.mark.long
async def test_one_that_is_killed_is_gone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        watching(server.url, pace=BRIEF) as lanes,
    ):
        await lanes.until(lambda: lanes.lanes)
        await first.kill()
        await lanes.until(lambda: not lanes.lanes)
    assert "worker one is gone: nothing was heard of it" in caplog.text


async def test_one_that_said_nothing_since_it_was_gone_is_not_welcome_again(
    server: Server,
) -> None:
    """What it said may stay in the broker for as long as whoever has its login likes."""
    said = Announcement(WIRE, __version__, "0" * 8, 7, (DeviceState("cpu"),), {})
    await put(server, keys.announced("ghost"), announcement.encode(said))
    brief = replace(BRIEF, silence=1.0)
    async with watching(server.url, pace=brief) as lanes:
        await lanes.until(lambda: lanes.removed)
        await rounds(server, 5)
        assert lanes.lanes == {}
        again = announcement.encode(replace(said, beat=8))
        await put(server, keys.announced("ghost"), again)
        await lanes.until(lambda: lanes.lanes)


@pytest.mark.long
@pytest.mark.parametrize("takes", [0.0, 1.0])
async def test_one_that_was_started_again_is_another(server: Server, takes: float) -> None:
    async with watching(server.url) as lanes:
        lanes.takes = takes
        async with worker_process(server.url) as first:
            await lanes.until(lambda: lanes.lanes)
            _, before = lanes.lanes["one.0"]
            said = await announced(server.url)
            await first.kill()
        async with working(worker(server.url, SteppingEngine())):
            await announced(server.url, after=said.session)
            await lanes.until(lambda: lanes.lanes and lanes.lanes["one.0"][1] is not before)


async def test_the_last_words_of_one_that_was_killed_are_no_sign_of_life(server: Server) -> None:
    async with (
        worker_process(server.url, pace=BRIEF) as first,
        watching(server.url, pace=replace(BRIEF, silence=60.0)) as lanes,
    ):
        await lanes.until(lambda: lanes.lanes)
        _, engine = lanes.lanes["one.0"]
        await first.kill()
        said = await announced(server.url)
        await put(server, keys.announced("one"), announcement.encode(said))
        await asyncio.sleep(2 * BRIEF.beat)
        assert engine.renew()
        await asyncio.sleep(3 * BRIEF.beat)
        with pytest.raises(EngineLost, match="nothing was heard"):
            engine.warm_up()


async def test_the_owner_can_drain_one(server: Server) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await lanes.until(lambda: lanes.lanes)
        lane, _ = lanes.lanes["one.0"]
        client = Broker.at(server.url).client(PACE)
        await client.set(keys.drained("one"), "1")
        await lanes.until(lambda: lane.draining)
        await client.delete(keys.drained("one"))
        await lanes.until(lambda: not lane.draining)
        await client.aclose()


async def test_a_broker_that_is_started_again_empty_costs_no_lane(server: Server) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await lanes.until(lambda: lanes.lanes)
        server.kill()
        server.start()
        await announced(server.url)
        await asyncio.sleep(2 * PACE.beat)
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
        await lanes.until(lambda: lanes.lanes)
        server.kill()
        await lanes.until(lambda: not lanes.lanes)
        server.start()
        await lanes.until(lambda: lanes.lanes)


@pytest.mark.parametrize(
    "other",
    [
        b'[{"wire":%d,"version":"9.1","what":"ever"}]' % (WIRE + 1),
        announcement.encode(Announcement(WIRE, "9.1", "0" * 8, 1, (DeviceState("cpu"),), {})),
    ],
)
async def test_one_of_another_version_is_refused_by_name(
    server: Server, other: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await put(server, keys.announced("other"), other)
    async with watching(server.url) as lanes:
        async with asyncio.timeout(20):
            while "worker other gets no jobs" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert "9.1" in caplog.text
    assert lanes.lanes == {}
    [seen] = await manage.listed(Broker.at(server.url))
    assert seen.said is None
    assert "version 9.1" in seen.trouble


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[",
        b"[[[[[[[[",
        b"[" * 60_000,
        b"x" * 2_000_000,
        b'[{"wire":1}]',
        b'[{"wire":1,"version":"1","session":"../../etc","beat":0,"devices":[],"libraries":{}}]',
        b'[{"wire":1,"version":"1","session":"00000000","beat":0,"libraries":{},'
        b'"devices":[{"device":"cuda:0\\n2026 ERROR"}]}]',
        b'[{"wire":1,"version":"1","session":"00000000","beat":0,"libraries":{},'
        b'"devices":[{"device":"cpu","memory":1e999}]}]',
    ],
)
async def test_what_is_no_announcement_is_refused(
    server: Server, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await put(server, keys.announced("evil"), said)
    await put(server, f"{keys.WORKERS}../evil", said)
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await lanes.until(lambda: "one.0" in lanes.lanes)
    assert [*lanes.lanes] == ["one.0"]
    assert "Traceback" not in caplog.text
    assert len(caplog.text) < 5_000
    if said:
        assert "worker evil gets no jobs" in caplog.text


@pytest.mark.parametrize("key", [keys.announced("evil"), keys.files("evil")])
async def test_a_key_of_another_type_takes_no_other_worker_away(
    server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = Announcement(WIRE, __version__, "0" * 8, 1, (DeviceState("cpu"),), {}, files=SHA256)
    async with (
        watching(server.url) as lanes,
        working(worker(server.url, SteppingEngine())),
        Broker.at(server.url).client(PACE) as evil,
    ):
        await lanes.until(lambda: lanes.lanes)
        await evil.set(keys.announced("evil"), announcement.encode(said))
        await evil.delete(key)
        await evil.rpush(key, "x")  # type: ignore[misc]
        await lanes.until(lambda: "worker evil gets no jobs" in caplog.text)
        rounds = 0

        def look() -> None:
            nonlocal rounds
            rounds += 1

        lanes.on_look = look
        await lanes.until(lambda: rounds >= 2)
        assert [*lanes.lanes] == ["one.0"]
        seen = {each.name: each for each in await manage.listed(Broker.at(server.url))}
        assert seen["one"].said is not None
        if key == keys.announced("evil"):
            assert "type" in seen["evil"].trouble


async def test_keys_of_one_hide_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.distributed.roster.SCANNED_MAX", 10)
    monkeypatch.setattr("bot.distributed.roster.SCAN", 10)
    names = [f"w{number}" for number in range(5)]
    async with Broker.at(server.url).client(PACE) as client:
        await client.mset({f"imagen:evil.{number}": b"x" for number in range(300)})
        async with watching(server.url, pace=replace(BRIEF, beat=0.02, silence=1.0)) as lanes:
            beat = 0

            async def say() -> None:
                nonlocal beat
                beat += 1
                said = Announcement(WIRE, __version__, "0" * 8, beat, (DeviceState("cpu"),), {})
                data = announcement.encode(said)
                await client.mset({keys.announced(name): data for name in names})

            async with asyncio.timeout(20):
                while len(lanes.lanes) < len(names):
                    await say()
                    await asyncio.sleep(0.02)
            # Longer than silence, in which no round sees all of them.
            monkeypatch.setattr("bot.distributed.roster.Roster._find", none_found)
            begin, rounds = time.monotonic(), 0

            def look() -> None:
                nonlocal rounds
                rounds += 1

            lanes.on_look = look
            async with asyncio.timeout(20):
                while time.monotonic() - begin < 1.5 or rounds < 5:
                    await say()
                    await asyncio.sleep(0.02)
            assert lanes.removed == []
        assert {each.name for each in await manage.listed(Broker.at(server.url))} == {*names}


async def none_found(_: object, __: object) -> list[str]:
    return []


async def test_jobs_go_where_their_files_are(server: Server) -> None:
    asked: list[frozenset[str]] = []

    def fitting(files: frozenset[str], _: object, __: bool, ___: Waiting) -> bool:
        asked.append(files)
        return SHA256 in files

    job = Waiting("a", "p", 1, "demo")
    lists = worker(server.url, SteppingEngine(), digests=lambda: frozenset({SHA256}))
    async with watching(server.url, fitting=fitting) as lanes, working(lists):
        await lanes.until(lambda: lanes.lanes)
        lane, _ = lanes.lanes["one.0"]
        assert lane.able is not None
        able = lane.able
        await lanes.until(lambda: able(job))
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
        await lanes.until(lambda: lanes.lanes)
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


async def test_a_list_of_files_that_is_not_the_announced_one_is_refused(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    said = Announcement(
        WIRE,
        __version__,
        "0" * 8,
        1,
        (DeviceState("cpu"),),
        {},
        files=announcement.digest_of(b"a" * 64),
    )
    await put(server, keys.announced("evil"), announcement.encode(said))
    await put(server, keys.files("evil"), b"b" * 64)
    async with watching(server.url, fitting=lambda files, *_: bool(files)) as lanes:
        await lanes.until(lambda: "another sha256" in caplog.text)
        lane, _ = lanes.lanes["evil.0"]
        assert lane.able is not None
        assert not lane.able(Waiting("a", "p", 1, "demo"))


async def test_two_bots_at_one_broker_are_one_too_many(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await lanes.until(lambda: lanes.lanes)
        async with watching(server.url) as others:
            await others.until(lambda: "another bot uses the broker" in caplog.text)
            assert others.lanes == {}
        assert lanes.removed == []


async def test_what_dead_queues_have_left_is_deleted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await put(server, "saq:job:gone.0123abcd.0:gone.0123abcd.0:x:1", b"{}")
    await put(server, "saq:somebody-elses", b"{}")
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await lanes.until(lambda: lanes.lanes)
        client = Broker.at(server.url).client(PACE)
        assert await client.keys("saq:job:gone*") == []
        assert await client.keys("saq:somebody*") != []
        await client.aclose()
