"""What image info reads of a message, and how much of it."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
from aiohttp import web

from bot.errors import InvalidRequest
from bot.files.inputs import BYTES_MAX
from cogs.info import _download, _first_image


def media(url: str, attachment_id: int | None, kind: str = "image/png") -> dict[str, Any]:
    found: dict[str, Any] = {"url": url, "proxy_url": url, "content_type": kind}
    return found if attachment_id is None else {**found, "attachment_id": str(attachment_id)}


def message(*items: dict[str, Any], attachments: tuple[Any, ...] = ()) -> discord.Message:
    gallery = {"type": 12, "id": 2, "items": [{"media": item} for item in items]}
    container = discord.components._component_factory(
        cast("Any", {"type": 17, "id": 1, "components": [gallery]})
    )
    return cast("discord.Message", SimpleNamespace(attachments=attachments, components=[container]))


def test_a_gallery_of_what_was_uploaded() -> None:
    ours, theirs = "https://cdn/1.png", "https://elsewhere/1.png"
    assert _first_image(message(media(theirs, None), media(ours, 7))) == ours
    assert _first_image(message(media(theirs, None))) is None, "it is somebody's server"
    assert _first_image(message(media(ours, 7, "video/mp4"))) is None


def test_the_first_attachment_that_is_an_image() -> None:
    text = SimpleNamespace(content_type="text/plain", size=1, url="https://cdn/a.txt")
    image = SimpleNamespace(content_type="image/webp", size=1, url="https://cdn/b.webp")
    assert _first_image(message(attachments=(text, image))) == image.url
    huge = SimpleNamespace(content_type="image/webp", size=BYTES_MAX + 1, url="https://cdn/c.webp")
    with pytest.raises(InvalidRequest) as error:
        _first_image(message(attachments=(huge,)))
    assert error.value.code == "picture.bytes"


SENT = [0]
"""Mebibytes that the server sent."""


@pytest.fixture
async def server() -> AsyncIterator[str]:
    SENT[0] = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/moved":
            raise web.HTTPFound("/small")
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1 if request.path == "/small" else 1_000):
            try:
                await response.write(bytes(2**20))
                SENT[0] += 1
            except ConnectionError:
                break
        return response

    app = web.Application()
    app.router.add_get("/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_download_ends_at_the_limit(server: str) -> None:
    assert len(await _download(None, f"{server}/small")) == 2**20
    with pytest.raises(InvalidRequest) as error:
        await _download(None, f"{server}/endless")
    assert error.value.code == "picture.bytes"
    assert SENT[0] < 500


@pytest.mark.parametrize("path", ["/moved", "/two/parts"])
async def test_what_cannot_be_fetched(server: str, path: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        await _download(None, f"{server}{path}")
    assert error.value.code == "picture.unreachable"
