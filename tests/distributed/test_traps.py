"""What SAQ does that would lose or double a job, if it were used as it comes."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis
from saq import Job, Status
from saq.queue.redis import RedisQueue

from bot.distributed import keys
from bot.distributed.broker import Broker
from bot.distributed.pace import Pace
from bot.distributed.remote import RemoteEngine
from bot.distributed.saq_parts import FUNCTION, DeviceQueue
from bot.errors import PaintStopped, StopReason
from tests.distributed.bench import (
    PACE,
    STATE,
    SteppingEngine,
    as_lane,
    lane_to,
    order,
    worker,
    working,
)
from tests.distributed.server import Server
from tests.distributed.test_hostile import QUEUE, evil
from tests.language import TEXTS

OFTEN = Pace(beat=0.002, silence=3.0, refresh=0.001, kept=60.0)


async def states(client: Redis) -> list[str]:
    found = [await client.get(key) for key in await client.keys("saq:job:*")]
    return [json.loads(data)["status"] for data in found if data]


async def slow_update(queue: RedisQueue, job: Job, status: Status | None = None, **_: Any) -> None:
    """As SAQ's, with a network between reading and writing."""
    if status is None:
        stored = await queue.job(job.key)
        status = stored.status if stored else None
        await asyncio.sleep(0.05)
    job.status = status or job.status
    await queue.redis.set(job.id, queue.serialize(job))
    await queue.notify(job)


async def test_a_finished_job_is_not_made_active_again_by_a_report(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`job.update` reads and then writes: one that is on its way when the job ends undoes that."""
    monkeypatch.setattr(RedisQueue, "_update", slow_update)
    engine = SteppingEngine(0.001)
    client = Broker.at(server.url).client(PACE)
    async with (
        working(worker(server.url, engine, pace=OFTEN)),
        lane_to(server.url, pace=OFTEN) as lane,
    ):
        for number in range(5):
            await lane.paint(order(f"a{number}:1", steps=15))
        async with asyncio.timeout(20):
            while set(await states(client)) != {"complete"}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert await states(client) == ["complete"] * 5
    await client.aclose()


@pytest.mark.long
async def test_an_abort_that_was_overwritten_is_sent_again(server: Server) -> None:
    aborted = 0
    stopping = False

    async def deed(client: Redis, key: str, job: dict[str, Any]) -> None:
        """Twice, a report of the worker's undoes the abort."""
        nonlocal aborted, stopping
        job_id = f"saq:job:{QUEUE}:{key}"
        await client.set(job_id, json.dumps({**job, "status": "active", "meta": {"beat": 1}}))
        stopping = True
        while aborted < 3:
            await asyncio.sleep(0.02)
            if json.loads(await client.get(job_id))["status"] == "aborting":
                aborted += 1
                state = "active" if aborted < 3 else "aborted"
                await client.set(job_id, json.dumps({**job, "status": state, "meta": {}}))

    def check() -> None:
        if stopping:
            raise PaintStopped(StopReason.CANCELLED)

    engine = RemoteEngine(Broker.at(server.url), QUEUE, STATE, TEXTS, Pace(beat=0.2, silence=8.0))
    async with evil(server, deed), as_lane(engine) as lane:
        with pytest.raises(PaintStopped):
            async with asyncio.timeout(20):
                await lane.paint(order(), check_stop=check)
    assert aborted == 3


async def test_nobody_sweeps_a_job_that_is_just_being_taken(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has left the queue and is not yet active; SAQ's own sweep puts it back, to run twice."""

    async def not_waited_for(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(Job, "refresh", not_waited_for)
    for kind, kept in ((RedisQueue, False), (DeviceQueue, True)):
        client = Broker.at(server.url).client(PACE)
        name = keys.queue("one", "0" * 8, int(kept))
        queue = DeviceQueue(client, name) if kept else RedisQueue(client, name=name)
        assert isinstance(queue, kind)
        job = Job(FUNCTION, queue=queue, key=f"{name}:a:1", timeout=0, heartbeat=15)
        await queue.enqueue(job)
        await client.blmove(f"saq:{name}:queued", f"saq:{name}:active", 1)
        await queue.sweep(lock=1, abort=0.1)
        again = len(await client.lrange(f"saq:{name}:queued", 0, -1))  # type: ignore[misc]
        await client.aclose()
        assert again == (0 if kept else 1)


async def test_the_same_order_can_be_sent_again_at_once(server: Server) -> None:
    """SAQ refuses the key of a job that was aborted in the last five seconds."""
    engine = SteppingEngine(0.02)

    def check() -> None:
        if engine.steps >= 2:
            raise PaintStopped(StopReason.CANCELLED)

    async with working(worker(server.url, engine)), lane_to(server.url) as lane:
        with pytest.raises(PaintStopped):
            await lane.paint(order(steps=1_000), check_stop=check)
        engine.steps = 0
        await lane.paint(order(steps=2))
    assert [each.name for each in engine.orders] == ["a1b2:1", "a1b2:1"]
