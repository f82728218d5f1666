"""A login for one worker is good for that worker and for nothing else."""

import argparse
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from bot.cli.arguments import parser
from bot.cli.workers import workers
from bot.distributed import keys, manage
from bot.distributed.broker import Broker
from bot.errors import SettingsError
from bot.request import InitImage
from bot.settings import Settings
from tests.distributed.bench import PACE, SteppingEngine, announced, lane_to, order, worker, working
from tests.distributed.server import Server
from tests.wire.things import png


@asynccontextmanager
async def client(url: str) -> AsyncIterator[Redis]:
    opened = Broker.at(url).client(PACE)
    try:
        yield opened
    finally:
        await opened.aclose()


async def test_a_worker_does_all_it_has_to_with_it(server: Server) -> None:
    own = await manage.allow(Broker.at(server.url), "one")
    engine = SteppingEngine(0.01)
    async with working(worker(own, engine)), lane_to(server.url, previews=0.0) as lane:
        await lane.paint(order(steps=30))
        await lane.paint(order("c3d4:1"))
        picture = png()
        sha256 = hashlib.sha256(picture).hexdigest()
        asked = order("e5f6:1", init_image=InitImage(sha256, 0.5))
        await lane.paint(replace(asked, pictures={sha256: picture}))
    assert len(engine.orders) == 3


async def test_it_reaches_nothing_of_others(server: Server) -> None:
    own = await manage.allow(Broker.at(server.url), "one")
    queue = keys.queue("two", "0" * 8, 0)
    job = keys.job(queue, "a:1", "00")
    async with client(own) as evil, client(server.url) as bot:
        await bot.set(keys.order(job), "secret")
        others = (
            keys.order(job),
            keys.result(job),
            keys.lease(queue),
            keys.announced("two"),
            keys.announced("one-two"),
            keys.files("two"),
            keys.drained("one"),
            keys.BOT,
            f"saq:{queue}:queued",
            f"saq:job:{queue}:{job}",
            f"saq:abort:{job}",
            "one",
        )
        for key in others:
            with pytest.raises(NoPermissionError):
                await evil.get(key)
            with pytest.raises(NoPermissionError):
                await evil.set(key, "x")
        with pytest.raises(NoPermissionError):
            await evil.publish(f"saq:job:{queue}:{job}", "aborting")
        for command in (
            ("KEYS", "*"),
            ("SCAN", "0"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "requirepass"),
            ("ACL", "LIST"),
            ("EVAL", "return 1", "0"),
            ("CLIENT", "LIST"),
            ("MONITOR",),
            ("SHUTDOWN",),
        ):
            with pytest.raises(NoPermissionError):
                await evil.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_what_others_read_of_it_can_only_be_of_the_right_type(server: Server) -> None:
    own = await manage.allow(Broker.at(server.url), "one")
    result = keys.result(keys.job(keys.queue("one", "0" * 8, 0), "a:1", "00"))
    async with client(own) as evil:
        for key in (keys.announced("one"), keys.files("one"), result):
            await evil.set(key, "x")
            for command in (("DEL", key), ("RPUSH", key, "x"), ("ZADD", key, "1", "x")):
                with pytest.raises(NoPermissionError):
                    await evil.execute_command(*command)  # type: ignore[no-untyped-call]


async def test_one_that_was_removed_is_out_at_once(server: Server) -> None:
    broker = Broker.at(server.url)
    own = await manage.allow(broker, "one")
    async with client(own) as removed:
        await removed.set(keys.announced("one"), "x")
        assert await manage.remove(broker, "one")
        with pytest.raises(AuthenticationError):
            await removed.set(keys.announced("one"), "x")
    assert not await manage.remove(broker, "one")


async def test_nothing_is_left_of_one_that_was_removed(server: Server) -> None:
    broker = Broker.at(server.url)
    await manage.allow(broker, "one")
    async with client(server.url) as bot:
        for key in (
            keys.announced("one"),
            keys.files("one"),
            "imagen:one.0.x:result",
            "saq:job:one.0:x",
        ):
            await bot.set(key, "x")
        await bot.set(keys.drained("one"), "1")
        await bot.set(keys.announced("one-more"), "x")
        await manage.remove(broker, "one")
        assert await bot.keys() == [keys.announced("one-more").encode()]


async def test_a_new_login_takes_the_place_of_the_old(server: Server) -> None:
    broker = Broker.at(server.url)
    before = await manage.allow(broker, "one")
    after = await manage.allow(broker, "one")
    assert before != after
    async with client(before) as old:
        with pytest.raises(AuthenticationError):
            await old.set(keys.announced("one"), "x")


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("broker.example.org", "redis://broker.example.org:6379/3"),
        ("100.64.0.1:7000", "redis://100.64.0.1:7000/3"),
        ("[fd00::1]:7000", "redis://[fd00::1]:7000/3"),
        ("rediss://broker.example.org", "rediss://broker.example.org:6379/3"),
    ],
)
def test_a_login_says_where_the_worker_reaches_the_broker(address: str, seen: str) -> None:
    here = Broker.at("redis://:secret@127.0.0.1:7001/3")
    assert here.is_local
    assert str(here.seen_at(address)) == seen
    assert not here.seen_at(address).is_local


@pytest.mark.parametrize("address", ["", "http://a.b", "user:pw@a.b", "a.b:x", "a.b/1", "://a.b"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="--at: must be"):
        Broker.at("redis://127.0.0.1").seen_at(address)


def asked(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(["workers", *arguments])


async def test_the_command_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGEN_BROKER", server.url)
    settings = Settings.load()
    async with working(worker(server.url, SteppingEngine())), client(server.url) as bot:
        await announced(server.url)
        assert await workers(asked("list"), settings) == 0
        assert capsys.readouterr().out.startswith("one  cpu nothing loaded, 0 files, imagen ")
        assert await workers(asked("drain", "one"), settings) == 0
        assert await bot.exists(keys.drained("one"))
        await workers(asked("list"), settings)
        assert "one  drained, cpu" in capsys.readouterr().out
        assert await workers(asked("resume", "one"), settings) == 0
        assert not await bot.exists(keys.drained("one"))
        assert await workers(asked("allow", "one"), settings) == 0
        printed = capsys.readouterr()
        assert printed.out.startswith("redis://imagen-worker-one:")
        assert "Another machine may not reach '127.0.0.1'" in printed.err
        assert "forgets it when it is restarted" in printed.err
        away = ("allow", "one", "--at", "rediss://broker.example.org:6380")
        assert await workers(asked(*away), settings) == 0
        printed = capsys.readouterr()
        assert printed.out.strip().endswith("@broker.example.org:6380/0")
        assert printed.out.startswith("rediss://imagen-worker-one:")
        assert "may not reach" not in printed.err
        assert await workers(asked("remove", "one"), settings) == 0
        assert await workers(asked("remove", "one"), settings) == 1
        assert await workers(asked("drain", "no/such name"), settings) == 1
        assert "'no/such name'" in capsys.readouterr().err


async def test_a_broker_that_is_not_there_is_named_without_its_password(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMAGEN_BROKER", server.url)
    server.kill()
    assert await workers(asked("list"), Settings.load()) == 1
    said = capsys.readouterr().err
    assert f"redis://127.0.0.1:{server.port}/0 cannot be used" in said
    assert server.password not in said
