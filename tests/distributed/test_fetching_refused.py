"""What is not what was asked for is thrown away, whoever sends it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from bot.distributed import source as source_module
from bot.distributed.fetched import LOCK, PARTIAL
from bot.distributed.localising import SCHEME
from bot.distributed.source import FetchFailed
from bot.distributed.uses import USED
from bot.order import Order
from tests.distributed.bot_files import Interface, answering, ok
from tests.distributed.machines import BOT, Machine, bare_worker, sha256
from tests.distributed.site import DIGEST, FILE, WITH_A_SERVER, Site, exchanged
from tests.parameters import mostly_long


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@WITH_A_SERVER
class TestRefused:
    async def failing(self, site: Site, url: str | None = None, order: Order | None = None) -> str:
        with pytest.raises(FetchFailed) as failed:
            await site.complete(order, url)
        assert failed.value.params["name"] == (order or site.order()).model.key  # type: ignore[union-attr]
        assert list(site.folder.glob("[0-9a-f]*")) == []
        return failed.value.code

    async def test_wrong_bytes(self, site: Site) -> None:
        """Of a file that was exchanged without a trace."""
        with exchanged(site.bot.models / FILE, b"x" * len(BOT[FILE]), secretly=True):
            assert await self.failing(site) == "part.wrong"
        assert site.partial() == []

    async def test_a_file_that_has_changed_is_not_even_sent(self, site: Site) -> None:
        with exchanged(site.bot.models / FILE, b"y" * 10, secretly=False):
            assert await self.failing(site) == "part.missing"

    async def test_what_the_bot_does_not_have(self, site: Site) -> None:
        order = site.order()
        assert order.model is not None
        strange = order.model.model_copy(update={"path": SCHEME + "0" * 64})
        assert await self.failing(site, order=replace(order, model=strange)) == "part.missing"

    @pytest.mark.parametrize("key", ["admin", "imagen_wrong"])
    async def test_without_the_key_of_a_worker(self, site: Site, key: str) -> None:
        with pytest.raises(FetchFailed) as failed:
            await site.complete(fetcher=site.fetcher(key=key))
        assert failed.value.code == "part.refused"
        assert failed.value.params["status"] == (403 if key == "admin" else 401)

    async def test_more_than_may_be_kept(self, site: Site) -> None:
        site.worker.fetched.limit = 100  # type: ignore[union-attr]
        assert await self.failing(site) == "part.too_large"
        assert site.partial() == []

    async def test_more_than_the_disk_has(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        size = len(BOT[FILE])
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 0, size - 1))
        assert await self.failing(site) == "part.disk_full"
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(10**9, 0, size))
        await site.complete()


def listing(*files: tuple[str, int, str], hub: bool = False, **more: Any) -> bytes:
    listed = [{"name": name, "size": size, "sha256": digest} for name, size, digest in files]
    return json.dumps({"hub": hub, "files": listed, **more}).encode()


NONE = b"HTTP/1.1 404 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""It has no such part, so that the hub is asked."""
BUSY = b"HTTP/1.1 429 x\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class TestHostile:
    """What answers is not the bot, or the bot is not what it was."""

    @pytest.fixture
    def site(self, here: Machine, tmp_path: Path, impatient: None) -> Site:
        nobody = cast("Interface", SimpleNamespace(url="", keys={"worker": "imagen_x"}))
        return Site(here, nobody, bare_worker(tmp_path).ready())

    async def refused(self, site: Site, answer: Callable[[str], bytes]) -> str:
        before = sorted(site.worker.home.rglob("*"))
        async with answering(answer) as url:
            with pytest.raises(FetchFailed) as failed:
                await site.complete(url=url)
        partial = site.folder / PARTIAL
        own = {site.folder, partial, site.folder / LOCK, site.folder / USED}
        left = set(site.worker.home.rglob("*")) - {*before, *own}
        assert {path.parent for path in left} <= {partial}  # nothing was put anywhere else
        return failed.value.code

    @pytest.mark.parametrize(
        "name",
        [
            "../../evil.safetensors",
            "/tmp/evil.safetensors",
            "a\\..\\..\\evil.safetensors",
            "C:evil.safetensors",
            "model.safetensors\n",
            "model.pt",
            "__init__.py",
            ".safetensors",
            "aux.safetensors",
        ],
    )
    @pytest.mark.parametrize("hub", mostly_long([False, True], usual=1))
    async def test_names_that_lead_elsewhere(self, site: Site, name: str, hub: bool) -> None:
        body = listing((name, len(BOT[FILE]), DIGEST), hub=hub)
        answers = {"parts": ok(body), "files": ok(BOT[FILE])}
        assert await self.refused(site, lambda path: answers[path.split("/")[2]]) == "part.wrong"
        assert site.partial() == []

    @pytest.mark.parametrize(
        "body",
        mostly_long(
            [
                b"",
                b"[]",
                b"{",
                b"\xff",
                b"[" * 100_000,
                listing(),
                listing(("model.safetensors", -1, DIGEST)),
                listing(("model.safetensors", 2**60, DIGEST)),
                listing(("model.safetensors", 5000, DIGEST.upper())),
                listing(("model.safetensors", 5000, f"{DIGEST}/..")),
                listing(("model.safetensors", 5000, DIGEST), surprise=1),
                listing(("A.json", 1, DIGEST), ("a.json", 1, DIGEST), hub=True),
                listing(("a.json", 2**30, DIGEST), hub=True),
                listing(*((f"{n}.json", 1, DIGEST) for n in range(300)), hub=True),
                b" " * (2**20 + 1),
            ],
            usual=7,
        ),
    )
    async def test_lists_that_are_none(self, site: Site, body: bytes) -> None:
        assert await self.refused(site, lambda _: ok(body)) == "part.wrong"

    @pytest.mark.parametrize(
        "file",
        [
            ok(BOT[FILE] + b"more"),
            ok(BOT[FILE][:-1]),
            ok(b"x" * len(BOT[FILE])),
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BOT[FILE],  # of any length
            ok(BOT[FILE][1:], headers="Content-Range: bytes 1-999999/1000000\r\n"),
        ],
    )
    async def test_files_that_are_others(self, site: Site, file: bytes) -> None:
        body = listing(("model.safetensors", len(BOT[FILE]), DIGEST))
        answers = {"parts": ok(body), "files": file}
        assert await self.refused(site, lambda path: answers[path.split("/")[2]]) == "part.wrong"
        assert site.partial() == []

    async def test_another_part_than_was_asked_for(self, site: Site) -> None:
        """Although all that comes is as it was listed."""
        other = b"other" * 100
        body = listing(("model.safetensors", len(other), sha256(other)))
        answers = {"parts": ok(body), "files": ok(other)}
        assert await self.refused(site, lambda path: answers[path.split("/")[2]]) == "part.wrong"

    @pytest.mark.parametrize("status", mostly_long([204, 301, 400, 401, 403, 418, 500], usual=2))
    async def test_other_answers(self, site: Site, status: int) -> None:
        """A redirection is not followed: the key is for the bot."""
        answer = f"HTTP/1.1 {status} x\r\nLocation: {site.http.url}/\r\nContent-Length: 0\r\n\r\n"
        code = await self.refused(site, lambda _: answer.encode())
        assert code == ("part.wrong" if status == 204 else "part.refused")

    async def test_a_bot_that_is_busy_is_asked_again_until_it_is_not(self, site: Site) -> None:
        body = listing(("model.safetensors", len(BOT[FILE]), DIGEST))
        answers = [*[BUSY] * 10, ok(body), NONE, *[BUSY] * 10, ok(BOT[FILE])]
        async with answering(lambda _: answers.pop(0)) as url:
            await site.complete(url=url)
        assert answers == []

    async def test_a_bot_that_is_always_busy_is_given_up(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It waits in between, whatever the answer says."""
        caplog.set_level("INFO")
        monkeypatch.setattr(source_module, "AGAIN_MIN", 0.06)
        monkeypatch.setattr(source_module, "AGAIN_TIMES", 10)
        asked = []

        def answer(path: str) -> bytes:
            asked.append(path)
            return BUSY

        assert await self.refused(site, answer) == "part.unreachable"
        assert len(asked) == 11
        assert caplog.text.count("trying again in 0.1 s") == 10
