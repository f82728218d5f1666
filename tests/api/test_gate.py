"""Whose body is read, and how much of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import Request
from starlette.types import Message

from bot.api.callers import Callers
from bot.api.errors import BodyTooLarge, NoValidKey, TooBusy, TooManyCalls
from bot.api.gate import LARGE_MAX, SMALL_MAX, TOTAL_MAX, UNCOUNTED, Gate, announced, most_for
from bot.store import Store
from tests.api.calls import call


def body(size: int | None, path: str = "/images", *headers: tuple[str, str]) -> Request:
    said = ("transfer-encoding", "chunked") if size is None else ("content-length", str(size))
    return call(said, *headers, path=path, method="POST")


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/generate", LARGE_MAX),
        ("/images/", LARGE_MAX),
        ("/compare", LARGE_MAX),
        ("/upscale", LARGE_MAX),
        ("/sdapi/v1/img2img", LARGE_MAX),
        ("/sdapi/v1/options", SMALL_MAX),
        ("/jobs/abc", SMALL_MAX),
        ("/generate/../models", SMALL_MAX),
    ],
)
def test_only_what_takes_images_takes_much(path: str, most: int) -> None:
    assert most_for(path) == most


def test_how_much_is_announced() -> None:
    assert announced(call()) == 0
    assert announced(body(5)) == 5
    assert announced(body(None)) is None


@pytest.fixture
async def secrets(tmp_path: Path) -> AsyncIterator[tuple[Gate, list[str]]]:
    async with Store.open(tmp_path / "x.sqlite3") as store:
        made = [await store.api_keys.add(name) for name in ("ada", "bob", "eve")]
        yield Gate(Callers(store)), [secret for secret in made if secret]


async def test_of_a_stranger_none_is_read(secrets: tuple[Gate, list[str]]) -> None:
    gate, _ = secrets
    for size in (1, LARGE_MAX, None):
        with pytest.raises(NoValidKey):
            async with gate.let_in(body(size)):
                pass
    async with gate.let_in(call(path="/healthz")):
        pass


async def test_memory_is_bounded_for_each_and_for_all(secrets: tuple[Gate, list[str]]) -> None:
    gate, keys = secrets
    ada, bob, eve = [("x-api-key", key) for key in keys]
    async with gate.let_in(body(LARGE_MAX, "/images", ada)):
        async with gate.let_in(body(None, "/images", ada)):
            with pytest.raises(TooManyCalls):
                async with gate.let_in(body(UNCOUNTED + 1, "/images", ada)):
                    pass
            async with gate.let_in(body(UNCOUNTED, "/images", ada)):
                pass
            for _ in range(2):
                async with (
                    gate.let_in(body(LARGE_MAX, "/images", bob)),
                    gate.let_in(body(TOTAL_MAX // 2 - LARGE_MAX, "/images", bob)),
                ):
                    with pytest.raises(TooBusy):
                        async with gate.let_in(body(UNCOUNTED + 1, "/images", eve)):
                            pass
        async with gate.let_in(body(LARGE_MAX, "/images", ada)):
            pass


async def test_a_body_is_cut_off_at_its_limit(secrets: tuple[Gate, list[str]]) -> None:
    gate, [ada, *_] = secrets

    async def endless() -> Message:
        return {"type": "http.request", "body": b"a" * 2**16, "more_body": True}

    with pytest.raises(BodyTooLarge):
        async with gate.let_in(body(SMALL_MAX + 1, "/sdapi/v1/options", ("x-api-key", ada))):
            pass
    chunked = body(None, "/sdapi/v1/options", ("x-api-key", ada))
    async with gate.let_in(Request(chunked.scope, endless)) as receive:
        for _ in range(SMALL_MAX // 2**16):
            await receive()
        with pytest.raises(BodyTooLarge):
            await receive()
