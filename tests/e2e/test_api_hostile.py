"""A stranger with a socket, and callers who mean harm, against the real process."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from PIL import Image

from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, call, free_port
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

HOST = b"Host: localhost\r\n"
LAST = HOST + b"Connection: close\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("hostile"), models_dir)
    async with Server(home, IMAGEN_LOG_LEVEL="DEBUG") as server:
        yield server
        assert CANARY not in server.log
        assert "Traceback" not in server.log
        assert "a call failed" not in server.log
        assert len(server.log.splitlines()) < 1_000


async def raw(server: Server, data: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.transport.abort()


def post(body: bytes, *more: bytes, path: bytes = b"/generate") -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\n" + LAST + b"".join(line + b"\r\n" for line in more)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


JSON = b"Content-Type: application/json"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /models HTTP/1.1\r\n" + LAST + UPGRADE.partition(b"\r\n")[2] + b"\r\n", 200),
        (b"TRACE /models HTTP/1.1\r\n" + LAST + b"\r\n", 405),
        (b"CONNECT evil.example:443 HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET http://evil.example/models HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n", 200),
        (b"GET /models HTTP/1.0\r\n" + HOST + b"\r\n", 401),
        (b"GET /models HTTP/1.1\r\n\r\n", 400),
        (b"GET /models HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n", 400),
        (b"POST /generate HTTP/1.1\r\n" + LAST + b"Content-Length: +4\r\n\r\n{}aa", 400),
        (
            b"POST /generate HTTP/1.1\r\n" + LAST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
            400,
        ),
        (b"POST /generate HTTP/1.1\r\n" + LAST + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n" + LAST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /healthz HTTP/1.1\r\n" + LAST + b"a: b\r\n" * 9_000 + b"\r\n", 431),
        (b"GET /status/%00 HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /status/%ff%fe HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /image/%2e%2e/1 HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /image/..%2f..%2fimagen.sqlite3 HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /image/" + b"a" * 20_000 + b" HTTP/1.1\r\n" + LAST + b"\r\n", 404),
        (b"GET /image/a/" + b"9" * 5_000 + b" HTTP/1.1\r\n" + LAST + b"\r\n", 400),
        (b"GET /status/a?wait=nan HTTP/1.1\r\n" + LAST + b"\r\n", 400),
        (b"GET /models HTTP/1.1\r\n" + LAST + b"Authorization: Basic \xff\r\n\r\n", None),
        (post(b'{"prompt": "a"}', JSON, b"Idempotency-Key: "), 400),
        (post(b'{"prompt": "a"}', JSON, b"Idempotency-Key: " + b"a" * 300), 400),
        (post(b'{"prompt": "\\ud800"}', JSON), 400),
        (post(b'{"prompt": "a", "model": "\\ud800\\r\\nSet-Cookie: a=b"}', JSON), 400),
        (post(b'{"prompt": "a", "model": "a\\r\\nSet-Cookie: a=b"}', JSON), 400),
        (post(b'{"prompt": "a", "guidance_scale": 1e400}', JSON), 400),
        (post(b'{"prompt": "a", "loras": [' + b"1," * 60_000 + b"1]}", JSON), 400),
        (post(b'{"prompt": "a"}', b"Content-Type: text/plain"), 415),
        (post(b"a", b"Content-Type: image/\xff", path=b"/images"), 415),
        (b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"a" * 100, 400),
    ],
    ids=range(32),
)
async def test_a_request_is_answered_or_refused_and_does_no_harm(
    server: Server, data: bytes, status: int | None
) -> None:
    answer = await raw(server, data)
    got = int(answer[9:12])
    assert got < 500
    assert status in (None, got)
    assert b"\r\nset-cookie" not in answer.lower()
    assert len(answer) < 20_000


async def test_no_request_is_smuggled_within_another(server: Server) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\n" + LAST + b"\r\n"
    both = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    answer = await raw(server, b"POST /generate HTTP/1.1\r\n" + HOST + both + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.long
async def test_slow_requests_are_cut_off_and_a_thousand_connections_keep_no_one_out(
    server: Server,
) -> None:
    half = (
        b"GET /",
        b"POST /generate HTTP/1.1\r\n" + HOST + JSON + b"\r\nContent-Length: 9\r\n\r\n{",
    )
    slow = [asyncio.create_task(raw(server, data)) for data in half]
    assert await asyncio.gather(*slow) == [b"", b""]
    idle = [
        writer
        for _ in range(10)
        for _, writer in await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", server.port) for _ in range(100))
        )
    ]
    try:
        accepted = await server.generate(prompt=CANARY, steps=2)
        assert (await server.done(accepted["job_id"]))["status"] == "done"
    finally:
        for writer in idle:
            writer.transport.abort()


async def test_an_unexpected_large_body_without_a_length_is_cut_off(server: Server) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b" " * 2**20

    answer = await server.client.post(
        "/generate", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def _png(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "PNG")
    return file.getvalue()


async def test_nothing_of_another_key_can_be_seen_used_or_inferred(home: Home) -> None:
    ada, bob = [(await call(home, "keys", "add", name))[1].strip() for name in ("ada", "bob")]
    async with Server(home, IMAGEN_LOG_LEVEL="DEBUG") as server:
        as_ada, as_bob = [{"X-API-Key": key} for key in (ada, bob)]
        client = server.client
        body = {"prompt": CANARY, "steps": 2}
        headers = {**as_ada, "Idempotency-Key": "mine"}
        hers = (await client.post("/generate", json=body, headers=headers)).json()["job_id"]
        for method, path in (
            ("GET", f"/status/{hers}"),
            ("GET", f"/status/{hers}?wait=1"),
            ("GET", f"/events/{hers}"),
            ("GET", f"/image/{hers}"),
            ("GET", f"/image/{hers}/1"),
            ("DELETE", f"/jobs/{hers}"),
        ):
            of_hers = await client.request(method, path, headers=as_bob)
            of_none = await client.request(method, path.replace(hers, "none"), headers=as_bob)
            assert (of_hers.status_code, of_hers.json()) == (404, of_none.json())
        same = await client.post(
            "/generate", json=body, headers={**as_bob, "Idempotency-Key": "mine"}
        )
        assert same.json()["job_id"] != hers
        # An input image, uploaded or sent within a request.
        kind = {"Content-Type": "image/png"}
        sent = await client.post("/images", content=_png("red"), headers={**as_ada, **kind})
        red = sent.json()["sha256"]
        for key, status in ((as_bob, 400), (as_ada, 202)):
            answer = await client.post("/generate", json={**body, "image": red}, headers=key)
            assert answer.status_code == status
        unknown = hashlib.sha256(b"").hexdigest()
        refused = await client.post("/generate", json={**body, "image": red}, headers=as_bob)
        absent = await client.post("/generate", json={**body, "image": unknown}, headers=as_bob)
        assert refused.json()["code"] == absent.json()["code"]
        mine = await client.post("/images", content=_png("red"), headers={**as_bob, **kind})
        assert mine.json()["sha256"] == red
        used = await client.post("/generate", json={**body, "image": red}, headers=as_bob)
        assert used.status_code == 202
        # A stranger's body is not even read.
        nobody = await client.post("/generate", content=b"{", headers={**kind})
        assert nobody.status_code == 401
        in_address = await client.get("/models", params={"key": ada, "api_key": ada})
        assert in_address.status_code == 401
        # A key that is revoked while its caller watches.
        long = {"prompt": CANARY, "steps": 100, "width": 512, "height": 512, "count": 4}
        job = (await client.post("/generate", json=long, headers=as_ada)).json()["job_id"]
        events: list[str] = []
        async with client.stream("GET", f"/events/{job}", headers=as_ada) as answer:
            try:
                async for line in answer.aiter_lines():
                    if line.startswith("event: "):
                        events.append(line)
                        if len(events) == 1:
                            await call(home, "keys", "revoke", "ada")
            except httpx2.RemoteProtocolError:
                pass  # in the middle of the stream
        assert "event: done" not in events
        assert not [secret for secret in (ada, bob, CANARY) if secret in server.log]


async def test_a_key_with_a_higher_priority_goes_first(home: Home) -> None:
    adding = (("ada",), ("bob", "--priority", "5"))
    ada, bob = [(await call(home, "keys", "add", *each))[1].strip() for each in adding]
    async with Server(home) as server:

        async def ask(key: str, **body: int) -> str:
            answer = await server.client.post(
                "/generate", json={"prompt": CANARY, **body}, headers={"X-API-Key": key}
            )
            assert answer.status_code == 202, answer.text
            return str(answer.json()["job_id"])

        running = await ask(ada, steps=100, width=512, height=512)
        hers, his = await ask(ada, steps=2), await ask(bob, steps=2)
        priorities = dict(home.rows("SELECT id, priority FROM jobs"))
        assert priorities == {running: 0, hers: 0, his: 5}


async def test_a_bot_that_others_could_call_without_a_key_does_not_start(home: Home) -> None:
    settings = {"IMAGEN_API_PORT": str(free_port()), "IMAGEN_API_HOST": "0.0.0.0"}
    async with Playground() as playground, Bot(home, playground, **settings).starting() as bot:
        assert await bot.wait() == 78
        assert "keys add NAME" in bot.log
