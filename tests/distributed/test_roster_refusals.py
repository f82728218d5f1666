"""A worker that does not fit is refused, by name, and takes no other one away."""

import asyncio
from dataclasses import replace

import pytest

from bot import __version__
from bot.distributed import announcement, keys, manage
from bot.distributed.announcement import WIRE, Announcement, DeviceState
from bot.distributed.broker import Broker
from bot.errors import WireError
from bot.queue.policy import Waiting
from tests.distributed.bench import (
    BRIEF,
    PACE,
    SteppingEngine,
    until,
    worker,
    working,
)
from tests.distributed.server import Server
from tests.distributed.watching import put, rounds, watching
from tests.parameters import mostly_long

SHA256 = "ab" * 32


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
        await until(lambda: "worker other gets no jobs" in caplog.text)
    assert "9.1" in caplog.text
    assert lanes.lanes == {}
    [seen] = await manage.listed(Broker.at(server.url))
    assert seen.said is None
    assert "version 9.1" in seen.trouble


@pytest.mark.parametrize(
    "said",
    mostly_long(
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
        usual=4,
    ),
)
async def test_what_is_no_announcement_is_refused(
    server: Server, said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await put(server, keys.announced("evil"), said)
    await put(server, f"{keys.WORKERS}../evil", said)
    async with watching(server.url) as lanes, working(worker(server.url, SteppingEngine())):
        await until(lambda: "one.0" in lanes.lanes)
    assert [*lanes.lanes] == ["one.0"]
    assert "Traceback" not in caplog.text
    assert len(caplog.text) < 5_000
    if said:
        assert "worker evil gets no jobs" in caplog.text


@pytest.mark.parametrize("key", mostly_long([keys.announced("evil"), keys.files("evil")], usual=1))
async def test_a_key_of_another_type_takes_no_other_worker_away(
    server: Server, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    said = Announcement(WIRE, __version__, "0" * 8, 1, (DeviceState("cpu"),), {}, files=SHA256)
    async with (
        watching(server.url) as lanes,
        working(worker(server.url, SteppingEngine())),
        Broker.at(server.url).client(PACE) as evil,
    ):
        await until(lambda: lanes.lanes)
        await evil.set(keys.announced("evil"), announcement.encode(said))
        await evil.delete(key)
        await evil.rpush(key, "x")  # type: ignore[misc]
        await until(lambda: "worker evil gets no jobs" in caplog.text)
        await rounds(server, 2)
        assert [*lanes.lanes] == ["one.0"]
        seen = {each.name: each for each in await manage.listed(Broker.at(server.url))}
        assert seen["one"].said is not None
        if key == keys.announced("evil"):
            assert "type" in seen["evil"].trouble


async def test_keys_of_one_hide_no_other(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.distributed.roster.SCANNED_MAX", 10)
    monkeypatch.setattr("bot.distributed.roster.SCAN", 10)
    names, silent = [f"w{number}" for number in range(5)], "silent"
    async with Broker.at(server.url).client(PACE) as client:
        await client.mset({f"imagen:evil.{number}": b"x" for number in range(300)})
        async with watching(server.url, pace=replace(BRIEF, beat=0.02, silence=1.0)) as lanes:
            beat = 0

            async def say(*who: str) -> None:
                nonlocal beat
                beat += 1
                said = Announcement(WIRE, __version__, "0" * 8, beat, (DeviceState("cpu"),), {})
                data = announcement.encode(said)
                await client.mset({keys.announced(name): data for name in who})
                await asyncio.sleep(0.02)

            async with asyncio.timeout(20):
                while len(lanes.lanes) <= len(names):
                    await say(*names, silent)
            # From here on none is found, and for as long as it takes to forget one that is silent.
            monkeypatch.setattr("bot.distributed.roster.Roster._find", none_found)
            async with asyncio.timeout(20):
                while not lanes.removed:
                    await say(*names)
            assert lanes.removed == [f"{silent}.0"]
        listed = await manage.listed(Broker.at(server.url))
        assert {each.name for each in listed} == {*names, silent}


async def none_found(_: object, __: object) -> list[str]:
    return []


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
        await until(lambda: "another sha256" in caplog.text)
        lane, _ = lanes.lanes["evil.0"]
        assert lane.able is not None
        assert not lane.able(Waiting("a", "p", 1, "demo"))


@pytest.mark.parametrize(
    "formats",
    [
        {"zimage": {"transformer_dtype": "**int8**"}},
        {"zimage": {"transformer dtype": "int8"}},
        {"zimage": {f"n{number}_dtype": "int8" for number in range(9)}},
        {"../zimage": {}},
        {f"family{number}": {} for number in range(33)},
    ],
)
def test_formats_that_no_worker_has_are_refused(formats: dict[str, dict[str, str]]) -> None:
    """They are shown to people."""
    usual = DeviceState("cpu", formats={"zimage": {"transformer_dtype": "bfloat16, int8"}})
    said = Announcement(WIRE, "1", "0" * 8, 1, (usual,), {})
    assert announcement.decode(announcement.encode(said)) == said
    hostile = replace(said, devices=(replace(usual, formats=formats),))
    with pytest.raises(WireError, match="formats"):
        announcement.decode(announcement.encode(hostile))
