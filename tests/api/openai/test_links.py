"""Links to images: for an hour, and only as they were made."""

from pathlib import Path

import pytest
from fastapi import Request

from bot.api.errors import Forbidden
from bot.api.openai.links import VALID, Links
from bot.store import Store

pytestmark = pytest.mark.asyncio

REQUEST = Request(
    {
        "type": "http",
        "scheme": "http",
        "path": "/v1/images/generations",
        "headers": [(b"host", b"gpu.lan:8009"), (b"x-forwarded-host", b"evil\\x/..?")],
    }
)


async def test_a_link_expires(tmp_path: Path) -> None:
    now = 1_000_000.0
    async with Store.open(tmp_path / "imagen.sqlite3") as store:
        links = Links(store, clock=lambda: now)
        url = await links.to(REQUEST, "k3v9m2xqpa", "1.png", 100)
        head, _, signature = url.rpartition("&signature=")
        expires = int(now) + VALID
        assert head == (
            "http://gpu.lan:8009/v1/images/files/k3v9m2xqpa/1.png"
            f"?compression=100&expires={expires}"
        )
        now += VALID
        await links.check("k3v9m2xqpa", "1.png", 100, expires, signature)
        now += 1
        with pytest.raises(Forbidden):
            await links.check("k3v9m2xqpa", "1.png", 100, expires, signature)
        with pytest.raises(Forbidden):
            await Links(store).check("other", "1.png", 100, expires, signature)


async def test_each_database_has_a_secret_of_its_own(tmp_path: Path) -> None:
    urls = []
    for name in ("one", "two", "one"):
        async with Store.open(tmp_path / f"{name}.sqlite3") as store:
            links = Links(store, clock=lambda: 0.0)
            urls.append(await links.to(REQUEST, "k3v9m2xqpa", "1.png", 100))
    assert urls[0] == urls[2] != urls[1]
