"""A hostile worker spoils the pictures that it is given, and nothing else. Nothing that it sends is
passed on unless it is what was asked for, and the bot reads no more of it than it has room for."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from bot import __version__
from bot.distributed import announcement, keys, patience
from bot.distributed.announcement import WIRE, Announcement, DeviceState
from bot.distributed.answers import failure_of, result_of
from bot.distributed.broker import Broker
from bot.distributed.exchange import LOOKS_APART, Exchange
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.errors import EngineLost, Loss, PaintStopped, StopReason
from bot.painting import PaintedImage, Painting
from bot.progress import Notice
from tests.distributed.bench import PACE, STATE, Painted, as_lane, jpeg, order, until
from tests.distributed.server import Server
from tests.distributed.watching import watching
from tests.language import TEXTS
from tests.parameters import mostly_long
from tests.store.factories import CANARY, painting, recipe, request

QUEUE = keys.queue("evil", "0" * 8, 0)
BRIEF = Pace(beat=0.2, silence=1.0, refresh=0.05, kept=60.0)
HURRIED = Pace(beat=0.1, silence=0.5, refresh=0.05, kept=60.0)
Deed = Callable[[Redis, str, dict[str, Any]], Awaitable[None]]
"""Gets a client, the key of the job and the job as SAQ has it."""


@asynccontextmanager
async def evil(server: Server, deed: Deed) -> AsyncIterator[None]:
    """Takes one job as a worker does, and then does what `deed` does."""
    client = Broker.at(server.url).client(PACE)

    async def work() -> None:
        job_id = await client.blmove(f"saq:{QUEUE}:queued", f"saq:{QUEUE}:active", 5)
        job = json.loads(await client.get(job_id))
        await deed(client, job["key"], job)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await client.aclose()
        if not task.cancelled():
            task.result()


async def refused(server: Server, deed: Deed, pace: Pace = BRIEF) -> str:
    """Why what `deed` sends is refused."""
    heard = Painted()
    engine = RemoteEngine(Broker.at(server.url), QUEUE, STATE, TEXTS, pace, preview_interval=0.0)
    async with evil(server, deed), as_lane(engine) as lane:
        with pytest.raises(EngineLost) as lost:
            async with asyncio.timeout(20):
                await lane.paint(order(), heard)
    assert (lost.value.loss, lost.value.sure) == (Loss.WORKER, False)
    assert heard.images == []
    assert CANARY not in str(lost.value)
    assert len(str(lost.value)) < 500
    return str(lost.value)


def answered(data: bytes, *images: bytes) -> Deed:
    async def deed(client: Redis, key: str, _: dict[str, Any]) -> None:
        for number, pixels in enumerate(images):
            await client.set(keys.image(key, number), pixels)
        await client.set(keys.result(key), data)

    return deed


def given(done: Painting) -> Deed:
    answer = result_of(done)
    return answered(answer.data, *answer.images)


def image(**fields: Any) -> Painting:
    """What was asked for, but for `fields` of its image."""
    done = painting()
    return replace(done, images=(replace(done.images[0], **fields),))


def scaled(width: int, height: int) -> PaintedImage:
    return painting(request(width=width, height=height)).images[0]


@pytest.mark.parametrize(
    ("done", "why"),
    mostly_long(
        [
            (replace(painting(), images=()), "0 images"),
            (replace(painting(), images=(*painting().images, *painting().images)), "2 images"),
            (replace(painting(), images=(scaled(64, 64),)), "64×64"),
            (image(seed=43), "seed 43"),
            (image(pixels_sha256="0" * 64), "another sha256"),
            (image(pixels_sha256="../../../etc/passwd"), "pixels_sha256"),
            (painting(request(prompt="another prompt")), "recipe.request"),
            (replace(painting(), recipe=recipe(request(seed=7))), "recipe.request"),
            (replace(painting(), warnings=(Notice("no.such", {}),)), "no sentence"),
            (replace(painting(), warnings=(Notice("memory.lowered", {"x": 1}),)), "do not fit"),
        ],
        usual=5,
    ),
)
async def test_another_picture_than_was_asked_for(server: Server, done: Painting, why: str) -> None:
    assert why in await refused(server, given(done))


@pytest.mark.parametrize(
    "data",
    mostly_long(
        [
            b"x",
            b"P",
            b"P{}",
            b"F{}",
            b"P" + b"[" * 900_000,
            b"P" + b"9" * 900_000,
            b"x" * 8_000_000,
            b'F[{"failed":{"code":"../../etc/passwd","params":{}}}]',
            b'F[{"failed":{"code":"memory.out","params":{}}}]',
            b'F[{"stopped":{"reason":"shutdown"}}]',
            b'F[{"stopped":{"reason":"cancelled"}}]',
        ],
        usual=4,
    ),
)
async def test_what_is_no_answer(server: Server, data: bytes) -> None:
    assert await refused(server, answered(data))


async def test_an_image_that_is_not_there(server: Server) -> None:
    data = result_of(painting()).data
    assert "bytes of pixels" in await refused(server, answered(data))
    assert "bytes of pixels" in await refused(server, answered(data, b"x"))


async def test_no_more_is_read_than_an_image_has(server: Server) -> None:
    size = len(painting().images[0].image.tobytes())
    answer = result_of(painting())
    # The first bytes are right, so it is the same picture, however much follows.
    heard = Painted()
    engine = RemoteEngine(Broker.at(server.url), QUEUE, STATE, TEXTS, PACE)
    deed = answered(answer.data, answer.images[0] + b"x" * 50_000_000)
    async with evil(server, deed), as_lane(engine) as lane:
        await lane.paint(order(), heard)
    [got] = heard.images
    assert len(got.image.tobytes()) == size
    assert hashlib.sha256(got.image.tobytes()).hexdigest() == got.pixels_sha256


@pytest.mark.parametrize(
    "job",
    mostly_long(
        [
            b"x",
            b"[]",
            b"{}",
            b'{"queue": "another"}',
            b'{"queue": "' + QUEUE.encode() + b'"}',
            b'{"queue": "' + QUEUE.encode() + b'", "function": "x", "status": "no such"}',
            b'{"queue": "' + QUEUE.encode() + b'", "function": "x", "what": 1}',
            b'{"queue": "' + QUEUE.encode() + b'", "function": "x", "meta": 7}',
            b'{"queue": "' + QUEUE.encode() + b'", "function": "x", "status": 7}',
            b"[" * 60_000,
            b"x" * 5_000_000,
        ],
        usual=4,
    ),
)
async def test_what_is_no_job_of_saq(server: Server, job: bytes) -> None:
    async def deed(client: Redis, key: str, _: dict[str, Any]) -> None:
        await client.set(f"saq:job:{QUEUE}:{key}", job)

    assert await refused(server, deed)


@pytest.mark.parametrize(
    ("report", "preview"),
    mostly_long(
        [
            ("x", b""),
            ('[{"stage":"queued"}]', b""),
            ('[{"stage":"painting","step":9,"steps":2}]', b""),
            ('[{"stage":"loading","subject":"a\\nb"}]', b""),
            ("9" * 50_000, b""),
            ('[{"stage":"painting","step":1,"steps":2}]', b"no jpeg"),
            ('[{"stage":"painting","step":1,"steps":2}]', jpeg() + b"x" * 2_000_000),
        ],
        usual=3,
    ),
)
async def test_what_is_no_report(server: Server, report: str, preview: bytes) -> None:
    async def deed(client: Redis, key: str, job: dict[str, Any]) -> None:
        await client.set(keys.preview(key), preview)
        meta = {"beat": 1, "report": report, "reported": 1, "preview": 1}
        changed = json.dumps({**job, "status": "active", "meta": meta})
        await client.set(f"saq:job:{QUEUE}:{key}", changed)

    assert "report" in await refused(server, deed)


async def test_one_that_takes_the_job_and_says_nothing(server: Server) -> None:
    async def deed(_: Redis, __: str, ___: dict[str, Any]) -> None: ...

    assert "nothing was heard" in await refused(server, deed)


async def test_one_that_tells_of_more_than_anybody_can_read(server: Server) -> None:
    async def deed(client: Redis, key: str, __: dict[str, Any]) -> None:
        for _ in range(20):
            async with client.pipeline(transaction=False) as together:
                for _ in range(1_000):
                    together.publish(f"saq:job:{QUEUE}:{key}", "active")
                await together.execute()

    assert "hints: more than 100 at once" in await refused(server, deed)


async def test_one_that_tells_too_much_has_the_bot_look_no_more_often(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, looks = Exchange._answer, 0

    async def counted(exchange: Exchange) -> bytes | None:
        nonlocal looks
        looks += 1
        return await answer(exchange)

    async def deed(client: Redis, key: str, __: dict[str, Any]) -> None:
        for _ in range(200):
            await client.publish(f"saq:job:{QUEUE}:{key}", "active")
            await asyncio.sleep(0.002)

    monkeypatch.setattr(Exchange, "_answer", counted)
    begin = time.monotonic()
    assert await refused(server, deed, HURRIED)
    assert 0 < looks <= (time.monotonic() - begin) / LOOKS_APART + 1


async def test_one_whose_download_does_not_get_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "BORNE", 1.0)

    async def deed(client: Redis, key: str, job: dict[str, Any]) -> None:
        for beat in range(1, 200):
            report = f'[{{"stage":"downloading","subject":"x","fraction":{0.5 + beat / 10**6}}}]'
            meta = {"beat": beat, "report": report, "reported": beat}
            changed = json.dumps({**job, "status": "active", "meta": meta})
            await client.set(f"saq:job:{QUEUE}:{key}", changed)
            await asyncio.sleep(0.05)

    heard = Painted()
    engine = RemoteEngine(Broker.at(server.url), QUEUE, STATE, TEXTS, PACE)
    async with evil(server, deed), as_lane(engine) as lane:
        with pytest.raises(EngineLost, match="has not got on for") as lost:
            async with asyncio.timeout(20):
                await lane.paint(order(), heard)
    assert lost.value.innocent
    assert len(heard.reports) > 2


async def test_one_that_says_that_it_is_done_and_is_not(server: Server) -> None:
    async def deed(client: Redis, key: str, job: dict[str, Any]) -> None:
        await client.set(f"saq:job:{QUEUE}:{key}", json.dumps({**job, "status": "complete"}))

    assert "left no result (complete)" in await refused(server, deed)


@pytest.mark.parametrize("key", ["result", "job", "image", "queue"])
async def test_what_is_of_another_type_is_the_fault_of_the_worker(server: Server, key: str) -> None:
    answer = result_of(painting())

    async def deed(client: Redis, job: str, _: dict[str, Any]) -> None:
        names = {
            "result": keys.result(job),
            "job": f"saq:job:{QUEUE}:{job}",
            "image": keys.image(job, 0),
        }
        await client.delete(names[key])
        await client.rpush(names[key], "x")  # type: ignore[misc]
        if key == "image":
            await client.set(keys.result(job), answer.data)

    if key == "queue":
        async with Broker.at(server.url).client(PACE) as client:
            await client.set(f"saq:{QUEUE}:queued", "x")
        engine = RemoteEngine(Broker.at(server.url), QUEUE, STATE, TEXTS, BRIEF)
        async with as_lane(engine) as lane:
            with pytest.raises(EngineLost) as lost:
                await lane.paint(order())
        assert not lost.value.innocent
        assert "type" in str(lost.value)
    else:
        assert "type" in await refused(server, deed)


async def test_one_that_gives_back_all_its_jobs_or_spoils_them_is_drained(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    said = Announcement(WIRE, __version__, "0" * 8, 1, (DeviceState("cpu"),), {})
    async with Broker.at(server.url).client(PACE) as client:
        await client.set(keys.announced("evil"), announcement.encode(said))
        async with watching(server.url) as lanes:
            await until(lambda: lanes.lanes)
            lane, engine = lanes.lanes["evil.0"]
            async with as_lane(engine) as bot:
                for back in (True, True, True, True, False, False, False, False):
                    answer = failure_of(PaintStopped(StopReason.SHUTDOWN)).data if back else b"x"
                    assert not lane.draining
                    async with evil(server, answered(answer)):
                        with pytest.raises(EngineLost) as lost:
                            await bot.paint(order())
                    assert lost.value.innocent == back
            await until(lambda: lane.draining)
    assert "worker evil is drained" in caplog.text


async def test_nothing_of_it_fills_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await refused(server, answered(b"x" * 8_000_000))
    assert len(caplog.text) < 20_000
