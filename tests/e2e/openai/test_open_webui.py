"""Calls as Open WebUI makes them, written after its routers `images` and `openai`."""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.conftest import CANARY
from tests.e2e.openai.clients import opened, picture
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

HEADERS = {
    "Authorization": "Bearer sk-none",
    "X-OpenWebUI-User-Name": "Ada",
    "X-OpenWebUI-User-Id": "7",
    "X-OpenWebUI-User-Email": "ada@example.org",
    "X-OpenWebUI-User-Role": "user",
}


@pytest_asyncio.fixture(loop_scope="session")
async def webui(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server.url, headers=HEADERS) as session:
        yield session


async def images_of(webui: aiohttp.ClientSession, answer: aiohttp.ClientResponse) -> list[bytes]:
    """It takes links if there are any, with its own headers, and base64 otherwise."""
    answer.raise_for_status()
    images = []
    for image in (await answer.json(content_type=None))["data"]:
        if url := image.get("url"):
            async with webui.get(url) as file:
                assert file.headers["content-type"].split("/")[0] == "image"
                images.append(await file.read())
        else:
            images.append(base64.b64decode(image["b64_json"]))
    return images


async def test_the_connection_is_checked_by_its_models(webui: aiohttp.ClientSession) -> None:
    async with webui.get("/v1/models") as answer:
        answer.raise_for_status()
        body = await answer.json()
    assert body["object"] == "list"
    assert "demo" in [model["id"] for model in body["data"]]


@pytest.mark.parametrize(
    ("more", "query"),
    [
        ({"model": "dall-e-2", "response_format": "b64_json"}, ""),
        ({"model": "dall-e-3"}, ""),
        ({"model": "gpt-image-1"}, "?api-version=2025-04-01-preview"),
        ({"model": "demo", "response_format": "b64_json", "steps": 3, "quality": "low"}, ""),
        ({"model": "", "response_format": "b64_json", "size": "auto"}, ""),
    ],
)
async def test_generations(webui: aiohttp.ClientSession, more: dict[str, Any], query: str) -> None:
    data = {"prompt": CANARY, "n": 2, "size": "512x512", **more}
    async with webui.post(f"/v1/images/generations{query}", json=data) as answer:
        images = await images_of(webui, answer)
    assert len(images) == 2
    assert opened(images[0]).width == (64 if data["size"] == "auto" else 512)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("image", {"model": "gpt-image-1", "size": "128x128", "n": "1", "background": "auto"}),
        ("image[]", {"model": "", "response_format": "b64_json"}),
        ("image[]", {"model": "dall-e-2"}),
    ],
)
async def test_edits(webui: aiohttp.ClientSession, name: str, fields: dict[str, str]) -> None:
    form = aiohttp.FormData()
    for field, value in {"prompt": CANARY, **fields}.items():
        form.add_field(field, value)
    file = io.BytesIO(picture(kind="JPEG"))
    form.add_field(name, file, filename="7f.jpg", content_type="image/jpeg")
    async with webui.post("/v1/images/edits", data=form) as answer:
        [image] = await images_of(webui, answer)
    assert opened(image).width == (128 if "size" in fields else 72)
