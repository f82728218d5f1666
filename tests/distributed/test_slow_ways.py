"""A way to the broker that takes long loses nothing: what counts is whether it gets on."""

import asyncio
import hashlib
import io
from contextlib import AsyncExitStack

import pytest
from PIL import Image
from redis import RedisError
from redis.asyncio import Redis

from bot.distributed import exchange, keys
from bot.distributed.answers import Answer
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.pieces import Pieces
from bot.distributed.running import Running
from bot.distributed.transfers import Transfers
from bot.errors import EngineLost, Loss, StopReason
from bot.order import Order
from bot.progress import Stage
from bot.request import InitImage
from tests.distributed.bench import (
    Lane,
    Painted,
    SteppingEngine,
    expected,
    lane_to,
    order,
    worker,
    working,
)
from tests.distributed.proxy import Proxy
from tests.distributed.server import Server
from tests.parameters import mostly_long

QUICK = Pace(beat=0.2, silence=1.0, refresh=0.05, kept=60.0)
SIDE = 512
BYTES = SIDE * SIDE * 3
"""Of an image, and about as many of a picture of noise."""


def rate(pace: Pace) -> float:
    """At which these take three times as long as a worker may be silent."""
    return BYTES / (3 * pace.silence)


def large(name: str = "a1b2:1") -> Order:
    return order(name, width=SIDE, height=SIDE)


def noise() -> bytes:
    data = io.BytesIO()
    pixels = hashlib.shake_128(b"noise").digest(BYTES)
    Image.frombytes("RGB", (SIDE, SIDE), pixels).save(data, "PNG")
    return data.getvalue()


async def left(server: Server) -> dict[str, int]:
    """What of jobs is in the broker, and for how many seconds each."""
    client = Broker.at(server.url).client(QUICK)
    try:
        found = [key for key in await client.keys("imagen:*.*") if not key.endswith(b"lease")]
        return {key.decode(): await client.ttl(key) for key in found}
    finally:
        await client.aclose()


PACES = [
    pytest.param(QUICK, id="quick"),
    pytest.param(
        Pace(beat=0.2, silence=3.0, refresh=0.05, kept=60.0), id="long", marks=pytest.mark.long
    ),
]


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.long
async def test_a_result_may_take_longer_than_silence_is_borne(server: Server, pace: Pace) -> None:
    engine, heard = SteppingEngine(), Painted()
    async with (
        Proxy.before(server.port) as network,
        working(worker(server.at(network.port), engine, pace=pace)),
        lane_to(server.url, pace=pace) as lane,
    ):
        network.rate = rate(pace)
        done = await lane.paint(large(), heard)
        # It went there once; the rest is signs of life.
        assert network.sent < 2 * BYTES
    assert [each.pixels_sha256 for each in done.images] == expected(large().request)
    assert len(engine.orders) == 1
    received = [each.fraction for each in heard.reports if each.stage is Stage.RECEIVING]
    assert received == sorted(received)
    assert len(set(received)) > 3
    assert await left(server) == {}


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("whose", mostly_long(["worker", "bot"], usual=1))
@pytest.mark.long
async def test_so_may_an_input_picture(
    server: Server, whose: str, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "TOLD_AFTER", 0.1)
    picture = noise()
    sha256 = hashlib.sha256(picture).hexdigest()
    small = order(init_image=InitImage(sha256, 0.5))
    asked = Order(
        small.request, small.model, small.adapters, pictures={sha256: picture}, name="a:1"
    )
    engine, heard = SteppingEngine(), Painted()
    async with Proxy.before(server.port) as network, AsyncExitStack() as opened:
        slow = server.at(network.port)
        way = slow if whose == "worker" else server.url
        await opened.enter_async_context(working(worker(way, engine, pace=pace)))
        way = slow if whose == "bot" else server.url
        lane: Lane = await opened.enter_async_context(lane_to(way, pace=pace))
        network.rate = rate(pace)
        await lane.paint(asked, heard)
        assert network.sent < 2 * BYTES
    assert [each.pictures for each in engine.orders] == [{sha256: picture}]
    assert any(each.stage is Stage.SENDING for each in heard.reports)
    assert await left(server) == {}


async def lost(painting: "asyncio.Task[object]") -> EngineLost:
    with pytest.raises(EngineLost) as error:
        async with asyncio.timeout(30):
            await painting
    assert error.value.loss is Loss.WORKER
    return error.value


@pytest.mark.long
async def test_a_job_whose_result_is_cut_off_is_not_to_blame(server: Server) -> None:
    engine, heard = SteppingEngine(), Painted()
    async with (
        Proxy.before(server.port) as network,
        working(worker(server.at(network.port), engine, pace=QUICK)),
        lane_to(server.url, pace=QUICK) as lane,
    ):
        network.rate = rate(QUICK)
        painting = asyncio.create_task(lane.paint(large(), heard))
        while not any(each.stage is Stage.RECEIVING and each.fraction for each in heard.reports):
            assert not painting.done()
            await asyncio.sleep(0.02)
        network.cut()
        error = await lost(painting)
        assert "nothing was heard" in str(error)
        assert error.innocent
        network.rate = None
        network.mend()
        # The next one begins anew, and is whole.
        again = await lane.paint(large("a1b2:2"))
        # What was still on its way is not there for good.
        assert all(seconds > 0 for seconds in (await left(server)).values())
    assert [each.pixels_sha256 for each in again.images] == expected(large().request)


async def test_a_worker_that_cannot_hand_over_its_result_gives_the_job_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = Pieces._put, 0

    async def full(pieces: Pieces, begun: list[str], value: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise RedisError("OOM command not allowed when used memory > 'maxmemory'")
        return await put(pieces, begun, value, at)

    monkeypatch.setattr(Pieces, "_put", full)
    async with (
        working(worker(server.url, SteppingEngine(), pace=QUICK)),
        lane_to(server.url, pace=QUICK) as lane,
    ):
        error = await lost(asyncio.create_task(lane.paint(large())))
        assert "gave the job back" in str(error)
        assert error.innocent
        assert await left(server) == {}


async def test_what_is_no_longer_wanted_is_taken_back(
    client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, put, calls = Running(60), Pieces._put, 0

    async def stopping(pieces: Pieces, begun: list[str], value: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            assert await client.strlen(keys.image("job", 1)) > 0
            running.stop(StopReason.CANCELLED)
        return await put(pieces, begun, value, at)

    monkeypatch.setattr(Pieces, "_put", stopping)
    answer = Answer(b"P", (b"a" * 10, b"b" * 10**6))
    transfers = Transfers(client, "queue", QUICK)
    assert await transfers.hand_over("job", answer, running) is None
    assert calls == 3
    assert await client.keys() == []


async def test_a_broker_that_keeps_nothing_loses_the_job_and_not_the_bot(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, calls = Pieces._put, 0

    async def evicted(pieces: Pieces, begun: list[str], value: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        await pieces._client.delete(begun[-1])
        return await put(pieces, begun, value, at)

    monkeypatch.setattr(Pieces, "_put", evicted)
    picture = noise()
    asked = Order(order().request, None, (), pictures={"a" * 64: picture}, name="a:1")
    async with (
        working(worker(server.url, SteppingEngine(), pace=QUICK)),
        lane_to(server.url, pace=QUICK) as lane,
    ):
        error = await lost(asyncio.create_task(lane.paint(asked)))
    assert "does not keep" in str(error)
    assert error.innocent
    assert calls == 3


class TestPieces:
    async def insist(self, call):  # type: ignore[no-untyped-def]
        return await call()

    async def test_what_is_there_before_is_no_part_of_it(self, client: Redis) -> None:
        await client.set("a", b"x" * 500_000)
        values = {"a": bytes(range(256)) * 1_000, "b": b"", "c": b"c" * 70_000}
        pieces, moved = Pieces(client, QUICK, self.insist), list[float]()
        await pieces.upload(values, moved.append)
        assert moved == sorted(moved)
        assert moved[-1] == 1.0
        for key, value in values.items():
            assert await client.get(key) == value
            assert 0 < await client.ttl(key) <= QUICK.kept
            assert await pieces.download(key, len(value), moved.append) == value
        assert await pieces.download("c", 10**6, moved.append) == values["c"]
        assert await pieces.download("c", 5, moved.append) == b"ccccc"

    @pytest.mark.parametrize("gone", ["a", "b"])
    async def test_it_begins_anew_if_the_broker_has_lost_any_of_it(
        self, client: Redis, gone: str
    ) -> None:
        values = {"a": b"a" * 200_000, "b": b"b" * 3_000_000}
        pieces, losses = Pieces(client, QUICK, self.insist), 0
        put = pieces._put

        async def losing(begun: list[str], value: bytes, at: int) -> int:
            nonlocal losses
            if begun[-1] == "b" and at and not losses:
                losses += 1
                await client.delete(gone)
            return await put(begun, value, at)

        pieces._put = losing  # type: ignore[method-assign, assignment]
        await pieces.upload(values, lambda _: None)
        assert losses == 1
        assert {key: await client.get(key) for key in values} == values
        assert await client.ttl(gone) > 0

    async def test_a_piece_that_takes_long_is_followed_by_smaller_ones(
        self, client: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes, now = list[int](), 0.0

        class Clock:
            @staticmethod
            def monotonic() -> float:
                return now

        monkeypatch.setattr("bot.distributed.pieces.time", Clock)
        setrange = Redis.setrange

        def slow(self: Redis, name: str, offset: int, value: bytes):  # type: ignore[no-untyped-def]
            nonlocal now
            now += len(value) / 10_000
            sizes.append(len(value))
            return setrange(self, name, offset, value)

        monkeypatch.setattr(Redis, "setrange", slow)
        pieces = Pieces(client, QUICK, self.insist)
        await pieces.upload({"a": b"a" * 200_000}, lambda _: None)
        # In the time of a piece, that way carries less than the least.
        assert sizes[0] == 65_536
        assert set(sizes[1:-1]) == {8_192}
