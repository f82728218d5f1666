"""Files for workers: to whom they are sent, and that nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import schemathesis
from anyio import AsyncFile
from fastapi.responses import FileResponse
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.api import sending
from bot.api.callers import LOCAL, Callers
from bot.api.errors import Forbidden, NoValidKey, TooManyCalls
from bot.store import Store
from tests.api.calls import call
from tests.distributed.bot_files import Interface, interface
from tests.distributed.machines import BOT, Machine, bot, put, sha256

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE = "checkpoints/plain.safetensors"
DIGEST = sha256(BOT[FILE])
ADDRESS = f"/worker/files/{DIGEST}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return bot(tmp_path_factory.mktemp("bot")).ready()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interface]:
    async with interface(tmp_path_factory.mktemp("interface"), here.inventory) as http:
        yield http


@pytest_asyncio.fixture(loop_scope="module")
async def client(http: Interface) -> AsyncIterator[httpx2.AsyncClient]:
    """Of a worker."""
    headers = {"X-API-Key": http.keys["worker"]}
    async with httpx2.AsyncClient(base_url=http.url, headers=headers, timeout=30) as client:
        yield client


class TestFiles:
    async def test_a_file(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get(ADDRESS)
        assert answer.status_code == 200
        assert answer.content == BOT[FILE]
        assert answer.headers["etag"] == f'"{DIGEST}"'
        assert answer.headers["content-length"] == str(len(BOT[FILE]))

    @pytest.mark.parametrize(
        ("wanted", "status", "sent"),
        [
            ("bytes=10-", 206, BOT[FILE][10:]),
            ("bytes=999999-", 206, BOT[FILE][-1:]),
            ("bytes=2-5", 206, BOT[FILE][2:6]),
            ("bytes=1000000-", 416, None),
        ],
    )
    async def test_the_rest_of_one(
        self, client: httpx2.AsyncClient, wanted: str, status: int, sent: bytes | None
    ) -> None:
        answer = await client.get(ADDRESS, headers={"Range": wanted})
        assert answer.status_code == status
        assert sent is None or answer.content == sent

    async def test_the_files_of_a_part(self, client: httpx2.AsyncClient, here: Machine) -> None:
        for digest in here.inventory.digests:
            answer = await client.get(f"/worker/parts/{digest}")
            part = here.inventory.sent(digest)
            if part is None:  # it is on the hub
                assert answer.status_code == 404
                continue
            listed = answer.json()
            assert listed["hub"] is False
            assert [each["name"] for each in listed["files"]] == [f.name for f in part.files]
            for each in listed["files"]:
                file = await client.get(f"/worker/files/{each['sha256']}")
                assert sha256(file.content) == each["sha256"]
                assert len(file.content) == each["size"]

    async def test_only_files_of_the_catalog(
        self, client: httpx2.AsyncClient, here: Machine
    ) -> None:
        """Not those beside them, and not even with their digest."""
        others = {"secret.safetensors": b"secret", "checkpoints/notes.txt": b"notes"}
        put(here.models, others)
        here.ready()
        for data in others.values():
            answer = await client.get(f"/worker/files/{sha256(data)}")
            assert (answer.status_code, answer.json()["code"]) == (404, "api.file.unknown")

    @pytest.mark.parametrize("room", ["files", "parts"])
    @pytest.mark.parametrize(
        "path",
        [
            "../../../../etc/passwd",
            "..%2f..%2f..%2fetc%2fpasswd",
            "%2e%2e/%2e%2e/etc/passwd",
            "..\\..\\etc\\passwd",
            "%2fetc%2fpasswd",
            "//etc/passwd",
            f"{DIGEST}/../{DIGEST}",
            f"{DIGEST}%00",
            f"{DIGEST}%0a",
            DIGEST.upper(),
            DIGEST[:-1],
            f"sha256:{DIGEST}",
            "checkpoints%2fplain.safetensors",
            "",
        ],
    )
    async def test_a_path_leads_nowhere(self, http: Interface, room: str, path: str) -> None:
        """As it is on the wire: clients tidy paths up before they send them."""
        status = await asked(http, f"/worker/{room}/{path}", http.keys["worker"])
        assert status in {400, 404}


async def asked(http: Interface, target: str, key: str) -> int:
    """The status that is answered to exactly this request line."""
    port = int(http.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {key}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "status", "code"),
        [
            (None, 401, "api.key.missing"),
            ("imagen_wrong", 401, "api.key.invalid"),
            ("admin", 403, "api.key.not_worker"),
        ],
    )
    @pytest.mark.parametrize("address", [ADDRESS, f"/worker/parts/{DIGEST}"])
    async def test_only_workers_are_sent_files(
        self, http: Interface, address: str, key: str | None, status: int, code: str
    ) -> None:
        headers = {} if key is None else {"X-API-Key": http.keys.get(key, key)}
        async with httpx2.AsyncClient(base_url=http.url, headers=headers) as client:
            answer = await client.get(address)
        assert (answer.status_code, answer.json()["code"]) == (status, code)

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/models"),
            ("GET", "/jobs/k3v9m2xqpa"),
            ("GET", "/status/k3v9m2xqpa"),
            ("GET", "/image/k3v9m2xqpa"),
            ("DELETE", "/jobs/k3v9m2xqpa"),
            ("POST", "/generate"),
            ("POST", "/images"),
            ("GET", "/catalog/models"),
            ("POST", "/v1/images/generations"),
            ("GET", "/v1/models"),
            ("POST", "/sdapi/v1/txt2img"),
        ],
    )
    async def test_and_nothing_else(
        self, client: httpx2.AsyncClient, method: str, path: str
    ) -> None:
        body = {"json": {"prompt": "a fox"}} if method == "POST" else {}
        answer = await client.request(method, path, **body)  # type: ignore[arg-type]
        assert answer.status_code == 403
        assert "This key is for a worker" in answer.text

    async def test_a_revoked_key_is_none(self, http: Interface) -> None:
        secret = await http.store.api_keys.add("gone", worker=True)
        assert secret is not None
        async with httpx2.AsyncClient(base_url=http.url, headers={"X-API-Key": secret}) as client:
            assert (await client.get(ADDRESS)).status_code == 200
            await http.store.api_keys.revoke("gone")
            assert (await client.get(ADDRESS)).status_code == 401

    async def test_this_machine_needs_one_too(self, tmp_path: Path) -> None:
        async with Store.open(tmp_path / "x.sqlite3") as store:
            callers = Callers(store)
            assert await callers.of(call()) is LOCAL
            with pytest.raises(NoValidKey):
                await callers.worker(call())
            secret = await store.api_keys.add("pc", worker=True)
            assert secret is not None
            request = call(("x-api-key", secret))
            assert (await callers.worker(request)).name == "pc"
            with pytest.raises(Forbidden):
                await callers.of(request)
            [key] = await store.api_keys.all()
            assert key.worker


class TestPlaces:
    @pytest.fixture
    def gate(self, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
        """No file is sent before it is set."""
        gate, real = asyncio.Event(), FileResponse.__call__

        async def held(self: FileResponse, *call: Any) -> None:
            await gate.wait()
            await real(self, *call)

        monkeypatch.setattr(FileResponse, "__call__", held)
        return gate

    async def test_no_more_than_a_few_are_sent_at_once(
        self, client: httpx2.AsyncClient, gate: asyncio.Event
    ) -> None:
        for _ in range(3):  # each place is free again
            gate.clear()
            tasks = [asyncio.create_task(client.get(ADDRESS)) for _ in range(sending.EACH_MAX + 1)]
            async with asyncio.timeout(30):
                done, held = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                [refused] = [task.result() for task in done]
                assert (refused.status_code, refused.json()["code"]) == (429, "api.busy")
                assert int(refused.headers["retry-after"]) > 0
                gate.set()
                assert {(await task).status_code for task in held} == {200}

    async def test_all_workers_share_them(
        self,
        http: Interface,
        client: httpx2.AsyncClient,
        gate: asyncio.Event,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(sending, "ALL_MAX", 1)
        keys = [{"X-API-Key": http.keys[name]} for name in ("worker", "other")]
        tasks = [asyncio.create_task(client.get(ADDRESS, headers=key)) for key in keys]
        async with asyncio.timeout(30):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            gate.set()
            answers = [(await task).status_code for task in tasks]
        assert sorted(answers) == [200, 429]

    async def test_two_workers_leave_a_place_for_a_third(self) -> None:
        """However long they hold theirs."""
        places = sending._Places()
        for worker in ("one", "one", "two"):
            places.take(worker)
        with pytest.raises(TooManyCalls):
            places.take("two")
        give_back = places.take("three")
        with pytest.raises(TooManyCalls):
            places.take("four")
        give_back()
        places.take("four")

    async def test_one_that_stalls_loses_its_place(
        self, here: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "STALLED", 0.05)
        member, given_back = here.inventory.file(DIGEST), asyncio.Event()
        assert member is not None

        async def receive() -> dict[str, Any]:
            return await asyncio.Future()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Future()

        scope = {"type": "http", "method": "GET", "headers": []}
        async with asyncio.timeout(20):
            await sending._Sent(member, DIGEST, given_back.set)(scope, receive, send)
        assert given_back.is_set()

    async def test_one_that_has_all_of_a_file_holds_no_place(
        self, here: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """However long it takes to close it: the worker may ask for the next one at once."""
        closing, real = asyncio.Event(), AsyncFile.aclose
        given_back: list[str] = []

        async def close(self: AsyncFile[Any]) -> None:
            await closing.wait()
            await real(self)

        monkeypatch.setattr(AsyncFile, "aclose", close)
        member, last = here.inventory.file(DIGEST), asyncio.Event()
        assert member is not None

        async def send(message: Any) -> None:
            assert not given_back
            if message["type"] == "http.response.body" and not message.get("more_body"):
                last.set()

        scope = {"type": "http", "method": "GET", "headers": []}
        answer = sending._Sent(member, DIGEST, lambda: given_back.append("place"))
        sent = asyncio.create_task(answer(scope, asyncio.Event().wait, send))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            await last.wait()
            assert given_back == ["place"]
            closing.set()
            await sent
        assert given_back == ["place"]

    async def test_a_worker_that_has_gone_takes_none(
        self, http: Interface, client: httpx2.AsyncClient, gate: asyncio.Event
    ) -> None:
        headers = {"X-API-Key": http.keys["worker"]}
        for _ in range(sending.EACH_MAX + 1):
            async with httpx2.AsyncClient(base_url=http.url, headers=headers) as gone:
                task = asyncio.create_task(gone.get(ADDRESS))
                await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.wait([task])
        gate.set()
        async with asyncio.timeout(30):
            while (await client.get(ADDRESS)).status_code == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.long
async def test_what_the_document_says_is_so(http: Interface, client: httpx2.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {"name": "workers", "description": "Model files for workers on other machines."} in (
        document["tags"]
    )
    document["paths"] = {
        path: calls for path, calls in document["paths"].items() if path.startswith("/worker/")
    }
    assert len(document["paths"]) == 2
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=http.url)
    headers = {"X-API-Key": http.keys["worker"]}
    await asyncio.to_thread(_try_all, schema, headers)


def _try_all(schema: Any, headers: dict[str, str]) -> None:
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    for found in schema.get_all_operations():

        @settings(
            max_examples=10,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=found.ok().as_strategy())
        def answered(case: Any) -> None:
            case.call_and_validate(checks=checks, headers=headers, timeout=60)

        answered()


async def test_without_workers_there_is_nothing_of_it(tmp_path: Path) -> None:
    async with (
        interface(tmp_path, None) as http,
        httpx2.AsyncClient(base_url=http.url) as client,
    ):
        answer = await client.get(ADDRESS, headers={"X-API-Key": http.keys["worker"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "api.http.missing")
