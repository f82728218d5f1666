"""Slow clients, and too many of them, on real sockets."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from bot.api import connections, server
from bot.api.connections import ALLOWED, PLACES, Phase
from bot.api.server import served
from bot.errors import SettingsError
from bot.store import Store
from tests.parameters import mostly_long

HEAD = b"Host: localhost\r\n"
SOON = 0.2


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """`/read` reads the body; `/large` sends more than any buffer holds; `/wait` waits."""
    request = Request(scope, receive)
    match request.url.path:
        case "/read":
            try:
                body = await request.body()
            except ClientDisconnect:
                return
            await PlainTextResponse(str(len(body)))(scope, receive, send)
        case "/wait":
            await asyncio.sleep(4 * SOON)
            await PlainTextResponse("waited")(scope, receive, send)
        case "/large":

            async def much() -> AsyncIterator[bytes]:
                for _ in range(1_000):
                    yield b"a" * 2**16

            await StreamingResponse(much())(scope, receive, send)
        case _:
            await PlainTextResponse("here")(scope, receive, send)


@pytest.fixture
async def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Of a server with little patience."""
    for phase in ALLOWED:
        monkeypatch.setitem(ALLOWED, phase, SOON)
    monkeypatch.setattr(connections, "EVERY", SOON / 4)
    async with (
        Store.open(tmp_path / "x.sqlite3") as store,
        served(application, store, "127.0.0.1", 0) as port,
    ):
        yield port


@asynccontextmanager
async def connected(
    port: int, data: bytes = b""
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is closed."""
    got = []
    try:
        while part := await reader.read(2**16):
            got.append(part)
    except ConnectionError:
        pass
    return b"".join(got)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /",
        b"GET / HTTP/1.1\r\n" + HEAD + b"X: a",
        b"POST /read HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000\r\n\r\na",
        b"POST /read HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\na",
    ],
    ids=range(5),
)
@pytest.mark.parametrize("trickling", mostly_long([True, False], usual=1))
async def test_a_request_that_never_ends_is_cut_off(
    port: int, data: bytes, trickling: bool
) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        while not writer.transport.is_closing():
            writer.write(b"a")
            await asyncio.sleep(SOON / 8)

    async with connected(port, data) as (reader, writer), asyncio.timeout(30):
        if trickling:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(trickle(writer))
                assert await rest(reader) == b""
                task.cancel()
        else:
            assert await rest(reader) == b""


async def test_the_next_request_has_its_own_time(port: int) -> None:
    async with connected(port) as (reader, writer), asyncio.timeout(30):
        for _ in range(5):
            writer.write(b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n")
            assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(SOON / 2)
        writer.write(b"GET / HT")
        assert await rest(reader) == b""


async def test_waiting_for_an_answer_is_not_slow(port: int) -> None:
    async with connected(port, b"GET /wait HTTP/1.1\r\n" + HEAD + b"\r\n") as (reader, _):
        assert (await reader.readuntil(b"waited")).startswith(b"HTTP/1.1 200")


async def test_a_client_that_reads_nothing_is_cut_off(port: int) -> None:
    async with connected(port, b"GET /large HTTP/1.1\r\n" + HEAD + b"\r\n") as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(4 * SOON)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await rest(reader)) < 1_000 * 2**16


async def test_a_client_that_reads_gets_everything(port: int) -> None:
    asked = b"GET /large HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"
    async with connected(port, asked) as (reader, _):
        assert len(await rest(reader)) > 1_000 * 2**16


async def test_the_rest_of_a_body_that_is_not_read_is_not_waited_for(port: int) -> None:
    asked = b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000000\r\n\r\n"
    async with connected(port, asked) as (reader, _), asyncio.timeout(30):
        assert (await rest(reader)).endswith(b"here")


async def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    asked = b"POST /read HTTP/1.1\r\n" + HEAD + b"Content-Length: 3\r\n\r\nabc"
    last = b"GET / HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"
    async with connected(port, asked * 20 + last) as (reader, _):
        got = await rest(reader)
    assert got.count(b"HTTP/1.1 200") == 21
    assert got.endswith(b"here")


async def test_a_thousand_that_ask_for_nothing_keep_no_one_out(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8_192), hard))
    monkeypatch.setitem(ALLOWED, Phase.HEAD, 1_000.0)
    opened = []
    try:
        for _ in range(10):
            opened += await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", port) for _ in range(100))
            )
            async with connected(port, b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n") as (reader, _):
                assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
        still = [reader for reader, _ in opened if not reader.at_eof() and not reader.exception()]
        assert len(still) <= PLACES
    finally:
        for _, writer in opened:
            writer.transport.abort()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", mostly_long(["0.0.0.0", "::", "::ffff:0.0.0.0"], usual=1))
async def test_other_machines_are_let_in_only_with_a_key(tmp_path: Path, host: str) -> None:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        with pytest.raises(SettingsError, match="keys add"):
            async with served(application, store, host, 0):
                pass
        await store.api_keys.add("ada")
        async with served(application, store, host, 0):
            pass
        await store.api_keys.revoke("ada")
        for mine in ("127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"):
            async with served(application, store, mine, 0):
                pass


def test_no_one_waits_for_ever() -> None:
    assert all(0 < seconds <= 60 for seconds in ALLOWED.values())
    assert 0 < server.KEEP_ALIVE <= 120
