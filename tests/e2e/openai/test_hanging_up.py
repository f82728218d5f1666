"""Callers who hang up while they wait: no one would see their images."""

import asyncio
import signal
from typing import Any

import openai
import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.home import Home
from tests.e2e.openai.clients import client_of, files_of
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

LONG: Any = {"prompt": CANARY, "size": "512x512", "n": 4, "extra_body": {"steps": 100}}
SHORT: Any = {"prompt": CANARY, "size": "256x256", "extra_body": {"steps": 40}}


async def accepted(server: Server, count: int) -> str:
    """The id of the job that was accepted last, once there are `count`."""
    sql = "SELECT id FROM jobs ORDER BY created_at, rowid"
    while len(jobs := server.home.rows(sql)) < count:  # noqa: ASYNC110 – of another process
        await asyncio.sleep(0.01)
    return str(jobs[-1][0])


def jobs_of(server: Server) -> int:
    return len(server.home.rows("SELECT id FROM jobs"))


async def test_a_call_that_waits(server: Server, client: openai.AsyncOpenAI) -> None:
    before = jobs_of(server)
    calling = asyncio.create_task(client.images.generate(**LONG))
    running = await accepted(server, before + 1)
    also_calling = asyncio.create_task(client.images.generate(**LONG))
    waiting = await accepted(server, before + 2)
    also_calling.cancel()
    assert (await server.done(waiting))["status"] == "cancelled"
    assert (await server.client.get(f"/status/{running}")).json()["status"] == "running"
    calling.cancel()
    assert (await server.done(running))["status"] == "cancelled"


async def test_the_clients_own_timeout(server: Server) -> None:
    before = jobs_of(server)
    async with client_of(server, timeout=0.5) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.images.generate(**LONG)
    job = await accepted(server, before + 1)
    assert (await server.done(job))["status"] == "cancelled"


async def test_a_stream(server: Server, client: openai.AsyncOpenAI) -> None:
    before = jobs_of(server)
    stream = await client.images.generate(stream=True, partial_images=3, **LONG)
    job = await accepted(server, before + 1)
    assert (await anext(aiter(stream))).type == "image_generation.partial_image"
    await stream.close()
    assert (await server.done(job))["status"] == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
async def test_one_who_can_come_back(
    server: Server, client: openai.AsyncOpenAI, stream: bool
) -> None:
    before = jobs_of(server)
    headers = {"Idempotency-Key": f"come back {stream}"}
    calling = asyncio.create_task(
        client.images.generate(extra_headers=headers, stream=stream, **SHORT)
    )
    job = await accepted(server, before + 1)
    if stream:
        await (await calling).close()  # type: ignore[union-attr]
    else:
        calling.cancel()
    assert (await server.done(job))["status"] == "done"
    answer = await client.images.generate(extra_headers=headers, **SHORT)
    assert answer.job_id == job
    assert len(files_of(answer)) == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.long
async def test_a_server_that_ends_is_not_a_caller_who_hangs_up(home: Home, stream: bool) -> None:
    async with Server(home) as server, client_of(server) as client:

        async def call() -> None:
            answer = await client.images.generate(
                stream=stream, **{**LONG, "n": 1, "size": "320x320"}
            )
            if stream:
                [_ async for _ in answer]  # type: ignore[union-attr]

        calling = asyncio.create_task(call())
        job = await accepted(server, 1)
        async with server.client.stream("GET", f"/events/{job}") as events:
            async for line in events.aiter_lines():
                if '"stage": "painting"' in line:
                    break
        server.send(signal.SIGTERM)
        await server.wait()
        error = openai.APIConnectionError if stream else openai.InternalServerError
        with pytest.raises(error) as caught:
            await calling
        if isinstance(caught.value, openai.InternalServerError):
            assert (caught.value.status_code, caught.value.code) == (503, "api.ending")
            assert "retry-after" in caught.value.response.headers
        await server.start()
        assert (await server.done(job))["status"] == "done"
        assert "Traceback" not in server.log
