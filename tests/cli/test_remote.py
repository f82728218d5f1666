"""The command line as a client, where the server misbehaves or goes away."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.api.original.bodies import Generate
from bot.api.original.further_bodies import Compare, Upscale
from bot.cli import remote as remote_module
from bot.cli.asked import Asked
from bot.cli.remote import RemoteServer
from bot.cli.result import NotDone
from bot.request import CONTROL_IMAGES, EDITED, AxisAsk, CompareDraft, Draft, UpscaleDraft
from bot.request.syntax import AdapterAsk
from tests.language import TEXTS

SAY = TEXTS.speaker()
ASKED = Asked(Draft(prompt="fox"), {}, None)
Head = dict[str, str]
Answer = Callable[[str, Head], Awaitable[bytes | None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[RemoteServer]:
    """A client of a server that answers so; None closes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            head = dict(line.lower().split(": ", 1) for line in lines if line)
            await reader.readexactly(int(head.get("content-length", "0")))
            if (said := await answer(" ".join(first.split()[:2]), head)) is not None:
                writer.write(said)
                await writer.drain()
        finally:
            writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        client = RemoteServer(f"http://127.0.0.1:{port}", None, SAY)
        try:
            yield client
        finally:
            await client.close()


def ok(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def record(**changed: Any) -> dict[str, Any]:
    fields = {"job_id": "abc", "status": "done", "model": "demo", "seconds": 1.0, "images": []}
    return {**fields, "recipe": None, "warnings": [], "error": None, **changed}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "PAUSE", 0)


async def test_a_call_whose_answer_was_lost_is_repeated_as_the_same() -> None:
    keys: list[str] = []

    async def answer(call: str, head: Head) -> bytes | None:
        assert call == "POST /generate"
        keys.append(head["idempotency-key"])
        return None if len(keys) < 3 else ok(b'{"job_id": "abc"}', status="202 Accepted")

    async with server(answer) as client:
        assert await client.accept(ASKED) == "abc"
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_stream_that_breaks_off_is_taken_up_again() -> None:
    streams = 0

    async def answer(call: str, head: Head) -> bytes | None:
        nonlocal streams
        if call == "GET /jobs/abc":
            return ok(json.dumps(record()).encode())
        streams += 1
        if streams == 2:
            return ok(b"<html>", "text/html", "502 Bad Gateway")
        event = "done" if streams == 3 else "progress"
        body = f'event: {event}\ndata: {{"message": "Step {streams}/9\\u001b[2J"}}\n\n'
        return ok(body.encode(), "text/event-stream")

    lines: list[str] = []
    async with server(answer) as client:
        assert await client.wait("abc", lines.append) == record()
    assert lines == ["Step 1/9\ufffd[2J"]


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_module, "PATIENCE", 0)

    async def answer(call: str, head: Head) -> bytes | None:
        return None

    async with server(answer) as client:
        with pytest.raises(NotDone, match=r"lost the connection.* it goes on with abc") as ended:
            await client.wait("abc", print)
    assert ended.value.code == 1


@pytest.mark.parametrize(
    "changed", [{"images": [{"file": "a.png"}]}, {"error": "text"}, {"warnings": None}]
)
async def test_a_record_of_another_form_is_no_crash(changed: dict[str, Any]) -> None:
    async def answer(call: str, head: Head) -> bytes | None:
        if call == "GET /jobs/abc":
            return ok(json.dumps(record(**changed)).encode())
        return ok(b"event: done\ndata: {}\n\n", "text/event-stream")

    async with server(answer) as client:
        with pytest.raises(NotDone, match="does not answer like an Imagen server"):
            await client.wait("abc", print)


@pytest.mark.parametrize(
    ("name", "sha256", "said"),
    [
        ("../demo-1.png", None, "does not answer like"),
        ("/tmp/demo-1.png", None, "does not answer like"),
        ("..\\demo-1.png", None, "does not answer like"),
        (".bashrc", None, "does not answer like"),
        ("demo-1.png", "0" * 64, "was changed on its way"),
    ],
)
async def test_a_file_is_saved_only_where_it_was_asked_to_be_and_whole(
    tmp_path: Path, name: str, sha256: str | None, said: str
) -> None:
    async def answer(call: str, head: Head) -> bytes | None:
        return ok(b"png", "image/png")

    right = hashlib.sha256(b"png").hexdigest()
    folder = tmp_path / "out"
    folder.mkdir()

    def saved() -> list[Path]:
        return [file for file in tmp_path.rglob("*") if file.is_file()]

    async with server(answer) as client:
        image = {"url": "/image/abc/1", "file": name, "sha256": sha256 or right}
        with pytest.raises(NotDone, match=said):
            await client.download("abc", image, folder)
        assert saved() == []
        image |= {"file": "demo-1.png", "sha256": right}
        path = await client.download("abc", image, folder)
    assert (path, path.read_bytes()) == (folder / "demo-1.png", b"png")


def test_all_that_the_interface_takes_is_sent() -> None:
    draft = Draft(
        **{
            **dict.fromkeys(Draft.__dataclass_fields__, 1),
            "lora": "a:0.5:0.25",
            "image": None,
            "mask": None,
            "reference": None,
            "adapters": (),
            "control_images": (),
        }  # type: ignore[arg-type]
    )
    files = {"image": b"a", "mask": b"d", "reference": b"b", EDITED[0]: b"c"}
    files |= dict.fromkeys(CONTROL_IMAGES, b"e")
    body = remote_module._body(draft, files)
    # The command line knows sizes as one word.
    assert body.keys() == Generate.model_fields.keys() - {"width", "height"}
    assert body["loras"] == [{"name": "a", "weight": 0.5, "text_weight": 0.25}]


def test_so_is_all_of_a_comparison_and_of_an_enlargement() -> None:
    asks = (AxisAsk("steps", "2, 3"), AxisAsk("lora"))
    draft = CompareDraft(draft=Draft(prompt="fox", lora="a:0.5"), asks=asks)
    path, body = remote_module._asked(draft, {})
    assert path == "compare"
    compared = Compare.model_validate(body).comparison()
    assert compared.asks == asks
    assert compared.draft.adapters == (AdapterAsk("a", 0.5),)
    names = Upscale.model_fields.keys() - {"image", "loras", "negative_prompt"}
    typed: dict[str, Any] = {**dict.fromkeys(names, "1"), "scale": 2, "strength": 1}
    typed |= {"lora": "a:0.5", "negative": "1", "steps": 1, "seed": 1}
    path, body = remote_module._asked(UpscaleDraft(**typed), {"image": b"a"})
    assert (path, body.keys()) == ("upscale", Upscale.model_fields.keys())
    sent = Upscale.model_validate(body)
    assert sent.pictures() == {"image": b"a"}
    assert sent.draft() == UpscaleDraft(**typed | {"lora": None}, adapters=(AdapterAsk("a", 0.5),))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
async def test_a_number_that_json_does_not_know_is_named(value: float) -> None:
    async def answer(call: str, head: Head) -> bytes | None:
        raise AssertionError(call)

    async with server(answer) as client:
        with pytest.raises(NotDone, match=f"guidance: {value} won't work") as ended:
            await client.accept(Asked(Draft(prompt="fox", guidance=value), {}, None))
    assert ended.value.code == 2
