"""Images in a call are read beside the event loop, whatever interface they come by."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx2
import pytest

from bot.api import desk as desks
from bot.api import large_base64
from bot.api.app import application
from bot.api.bodies import LARGE, aside
from bot.api.callers import LOCAL
from bot.api.desk import Desk
from bot.api.languages import speaker_for
from bot.api.parts import Parts
from bot.health import Health
from bot.request import Draft
from bot.settings import Settings
from catalog import Catalog, ModelEntry
from catalog.families.flux2 import FLUX2
from tests.language import TEXTS
from tests.parameters import mostly_long

KLEIN = ModelEntry(key="klein", name="klein", path="a/b", family=FLUX2, variant="distilled")
FILE = bytes(range(256)) * 4_000
IMAGE = base64.b64encode(FILE).decode()
URL = f"data:image/png;base64,{IMAGE}"


class Full(Exception):
    """Raised instead of going on."""


class Callers:
    async def of(self, _: object) -> object:
        return LOCAL

    def count(self, _: object) -> None: ...


class Read:
    """In which threads something large was read."""

    def __init__(self) -> None:
        self.threads: set[threading.Thread] = set()

    def watched(self, real: Callable[..., Any], at: int) -> Callable[..., Any]:
        def read(*given: Any, **named: Any) -> Any:
            if len(given[at]) > 1_000:
                self.threads.add(threading.current_thread())
            return real(*given, **named)

        return read


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    read = Read()
    monkeypatch.setattr(large_base64, "decoded", read.watched(large_base64.decoded, 0))
    decode = read.watched(json.JSONDecoder.decode, 1)
    monkeypatch.setattr(json.JSONDecoder, "decode", decode)
    return read


@pytest.fixture
def given() -> dict[str, object]:
    return {}


@pytest.fixture
async def client(tmp_path: Path, given: dict[str, object]) -> Any:
    async def accept(_: object, __: object, pictures: Mapping[str, object], *___: object) -> None:
        given.update(pictures)
        raise Full

    desk = MagicMock()
    desk.accept = accept
    desk.backend.catalog.current = Catalog({"klein": KLEIN}, {}, "klein")
    desk.backend.settings.preview = False
    texts = TEXTS
    parts: Any = MagicMock(spec=Parts)
    parts.desk, parts.callers, parts.health = desk, Callers(), Health({})
    parts.speaker, parts.inventory = partial(speaker_for, texts), None
    app = application(parts, texts, Settings.model_validate({"IMAGEN_DATA_DIR": tmp_path}))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8009") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "sent", "names"),
    mostly_long(
        [
            ("/generate", {"json": {"prompt": "x", "image": IMAGE}}, ["image"]),
            ("/generate", {"json": {"prompt": "x", "edit": [IMAGE, URL]}}, ["edit", "edit2"]),
            ("/v1/images/generations", {"json": {"prompt": "x", "reference": URL}}, ["reference"]),
            ("/v1/images/edits", {"json": {"prompt": "x", "image": IMAGE}}, ["edit"]),
            (
                "/v1/images/edits",
                {"json": {"prompt": "x", "images": [{"image_url": URL}] * 2}},
                ["edit", "edit2"],
            ),
            (
                "/v1/images/edits",
                {"data": {"prompt": "x", "reference": IMAGE}, "files": {"image": FILE}},
                ["reference", "edit"],
            ),
        ],
        usual=3,
    ),
)
async def test_the_loop_does_not_read_them(
    client: httpx2.AsyncClient,
    given: dict[str, object],
    read: Read,
    path: str,
    sent: dict[str, Any],
    names: list[str],
) -> None:
    await client.post(path, **sent)
    assert given == dict.fromkeys(names, FILE)
    assert read.threads
    assert threading.current_thread() not in read.threads


async def test_nor_those_for_automatic1111(client: httpx2.AsyncClient, read: Read) -> None:
    for path in ("/sdapi/v1/png-info", "/sdapi/v1/extra-single-image"):
        answer = await client.post(path, json={"image": IMAGE})
        assert answer.status_code == 400, answer.text  # it is no image
    assert read.threads
    assert threading.current_thread() not in read.threads


async def test_a_large_form_field_is_not_parsed_by_the_loop(
    client: httpx2.AsyncClient, read: Read
) -> None:
    loras = json.dumps([{"name": "a" * LARGE}])
    files = {"image": FILE}
    await client.post("/v1/images/edits", data={"prompt": "x", "loras": loras}, files=files)
    assert read.threads
    assert threading.current_thread() not in read.threads


async def test_what_is_told_apart_by_its_hash_is_hashed_beside_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Read()
    monkeypatch.setattr(desks.hashlib, "sha256", read.watched(hashlib.sha256, 0))  # type: ignore[attr-defined]
    backend = MagicMock()
    backend.store.check_new.side_effect = Full
    desk = Desk(backend, MagicMock(), MagicMock(), MagicMock())
    with pytest.raises(Full):
        await desk.accept(LOCAL, Draft(prompt="x"), {"image": FILE}, "again")
    assert read.threads
    assert threading.current_thread() not in read.threads


async def test_what_is_small_is_read_at_once() -> None:
    assert await aside(LARGE - 1, threading.current_thread) is threading.current_thread()
    assert await aside(LARGE, threading.current_thread) is not threading.current_thread()
