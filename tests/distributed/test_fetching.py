"""Files from the bot over HTTP: real server, real client, and a way between them that fails."""

import asyncio
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
import pytest_asyncio

from bot.distributed import fetching as fetching_module
from bot.distributed.fetched import PARTIAL, Fetched, SentFile
from bot.distributed.fetching import Fetcher, FetchFailed, check_address
from bot.distributed.localising import SCHEME, addressed
from bot.distributed.parts import Kind
from bot.engine.hashing import HashCache
from bot.errors import PaintStopped, SettingsError, StopReason
from bot.order import Order
from bot.progress import Progress, Stage
from catalog import Catalog
from tests.distributed.bot_files import Interface, answering, cutting, interface, ok
from tests.distributed.machines import (
    BOT,
    BOTS,
    Machine,
    bare_worker,
    bot,
    everything,
    model,
    order_for,
    put,
    sha256,
    worker,
)

WITH_A_SERVER = pytest.mark.asyncio(loop_scope="module")
"""One for all, which starting takes longer than all tests."""

PLAIN = replace(
    everything("plain"), adapters=(), embeddings=(), reference=None, upscale=None, hires=None
)
"""A request that needs one file, and a configuration from the hub."""
FILE = "checkpoints/plain.safetensors"
DIGEST = sha256(BOT[FILE])


@dataclass
class Heard:
    """What a job is told, and whether it is to stop."""

    reports: list[Progress] = field(default_factory=list)
    stop_at: float = 2.0

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)

    def check_stop(self) -> None:
        if self.reports and self.reports[-1].fraction >= self.stop_at:
            raise PaintStopped(StopReason.CANCELLED)


@dataclass
class Site:
    """A bot with its interface, and a worker without files."""

    bot: Machine
    http: Interface
    worker: Machine
    heard: Heard = field(default_factory=Heard)

    def order(self, asked: Any = PLAIN) -> Order:
        return addressed(order_for(BOTS, asked), self.bot.inventory)

    def fetcher(self, url: str | None = None, key: str = "worker") -> Fetcher:
        assert self.worker.fetched is not None
        secret = self.http.keys.get(key, key)
        return Fetcher(url or self.http.url, secret, self.worker.fetched, self.worker.inventory)

    async def complete(self, order: Order | None = None, url: str | None = None) -> Order:
        fetcher = self.fetcher(url)
        try:
            return await asyncio.to_thread(
                fetcher.complete, order or self.order(), self.heard.report, self.heard.check_stop
            )
        finally:
            fetcher.close()

    @property
    def folder(self) -> Path:
        return self.worker.models / "fetched"

    def partial(self) -> list[int]:
        """Bytes of the files that are not whole."""
        return [path.stat().st_size for path in (self.folder / PARTIAL).glob("*")]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return bot(tmp_path_factory.mktemp("bot")).ready()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(here: Machine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interface]:
    async with interface(tmp_path_factory.mktemp("interface"), here.inventory) as http:
        yield http


@pytest.fixture
def site(here: Machine, http: Interface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(fetching_module, "PAUSES", (0.01,) * 3)
    monkeypatch.setattr(fetching_module, "AGAIN_MIN", 0.01)
    monkeypatch.setattr(fetching_module, "SPARE", 0)
    return Site(here, http, bare_worker(tmp_path).ready())


@contextmanager
def exchanged(path: Path, data: bytes, *, secretly: bool) -> Iterator[None]:
    """Another file in place of this one while the block lasts. secretly: not even its time is
    another."""
    before, status = path.read_bytes(), path.stat()
    path.write_bytes(data)
    if secretly:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    try:
        yield
    finally:
        path.write_bytes(before)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def read(path: str | None) -> bytes:
    return Path(path or "").read_bytes()


def beside(path: str, name: str) -> str:
    return str(Path(path).with_name(name))


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@WITH_A_SERVER
class TestComing:
    async def test_whatever_an_order_needs_comes(self, site: Site) -> None:
        local = await site.complete(site.order(everything()))
        assert local.model is not None
        assert read(local.model.path) == BOT["checkpoints/Big Model v1.safetensors"]
        assert read(local.model.path.replace(".safetensors", ".yaml")).startswith(b"param")
        assert read(f"{local.model.vae_path}/config.json") == b"{}"
        assert local.reference is not None
        encoder = f"{local.reference.path}/{local.reference.encoder}"
        assert read(f"{encoder}/config.json") == b"{}"
        assert read(f"{encoder}/model.safetensors") == b"encoder"
        [hands] = local.embeddings
        assert hands.second is not None
        assert read(beside(hands.path, hands.second)) == b"second"
        peft = beside(local.adapters[1].path, "adapter_config.json")
        assert read(peft) == BOT["peft/adapter_config.json"]
        needs = site.bot.inventory.needs_of(everything(), BOTS)
        assert set(needs) <= site.worker.inventory.digests
        assert site.partial() == []

    async def test_a_folder_comes_as_it_is(self, site: Site) -> None:
        """Both tokenizers have the same vocabulary, which is a file of its own in each."""
        local = await site.complete(site.order(replace(PLAIN, model="folder")))
        assert local.model is not None
        for name, data in BOT.items():
            if name.startswith("folder/"):
                assert read(f"{local.model.path}/{name.removeprefix('folder/')}") == data

    async def test_it_is_told_how_much_is_there(self, site: Site) -> None:
        await site.complete()
        assert {(each.stage, each.subject) for each in site.heard.reports} == {
            (Stage.DOWNLOADING, "plain")
        }
        fractions = [each.fraction for each in site.heard.reports]
        assert fractions == sorted(fractions)
        assert 0 <= fractions[0] <= fractions[-1] <= 1

    async def test_once_is_enough(self, site: Site, tmp_path: Path) -> None:
        """For other orders, and after a restart, without anybody to fetch from."""
        first = await site.complete()
        assert await site.complete(url="http://127.0.0.1:9") == first
        again = Fetched(site.folder, 2**30)
        site.worker = Machine(site.worker.home, Catalog({}, {}, ""), again).ready()
        assert await site.complete(url="http://127.0.0.1:9") == first

    async def test_what_the_worker_has_already_is_not_sent(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only the text that belongs to the checkpoint is missing."""
        weights = "checkpoints/Big Model v1.safetensors"
        put(site.worker.models, {"mine.safetensors": BOT[weights]})
        mine = Catalog({"mine": model("mine", "mine.safetensors")}, {}, "mine")
        site.worker = Machine(site.worker.home, mine, site.worker.fetched).ready()
        asked: list[str] = []
        real = Fetcher._load

        def watched(self: Fetcher, sent: Any, *more: Any) -> Path:
            asked.append(sent.name)
            return real(self, sent, *more)

        monkeypatch.setattr(Fetcher, "_load", watched)
        order = site.order(replace(PLAIN, model="big"))
        local = await site.complete(order)
        assert "model.yaml" in asked
        assert "model.safetensors" not in asked
        assert local.model is not None
        assert read(local.model.path) == BOT[weights]
        assert (site.worker.models / "mine.safetensors").read_bytes() == BOT[weights]

    async def test_the_engine_need_not_hash_it_again(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        local = await site.complete()
        assert local.model is not None
        kept = HashCache(site.worker.home / "hashes.json")
        assert kept.whole(Path(local.model.path)) == DIGEST

    async def test_two_orders_fetch_it_once(self, site: Site) -> None:
        fetcher, order = site.fetcher(), site.order()
        here = threading.Barrier(2)

        def complete() -> Order:
            here.wait(10)
            return fetcher.complete(order, site.heard.report, site.heard.check_stop)

        one, other = await asyncio.gather(*(asyncio.to_thread(complete) for _ in range(2)))
        fetcher.close()
        assert one == other
        assert len(list(site.folder.glob("*.json"))) == 1


@WITH_A_SERVER
class TestCut:
    async def test_what_was_cut_goes_on_where_it_ended(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ranges: list[str] = []
        real = Fetcher._answer

        def watched(self: Fetcher, path: str, headers: Any, job: Any) -> Any:
            ranges.append(headers.get("Range", ""))
            return real(self, path, headers, job)

        monkeypatch.setattr(Fetcher, "_answer", watched)
        async with cutting(site.http.url, [400_000, 400_000, -1]) as way:
            local = await site.complete(url=way)
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]
        resumed = [int(each.removeprefix("bytes=").removesuffix("-")) for each in ranges if each]
        assert len(resumed) >= 2
        assert resumed == sorted(resumed)
        assert resumed[0] > 0

    async def test_it_goes_on_after_a_restart(self, site: Site) -> None:
        async with cutting(site.http.url, [400_000, 0]) as way:
            with pytest.raises(FetchFailed) as failed:
                await site.complete(url=way)
        assert failed.value.code == "part.unreachable"
        [before] = site.partial()
        assert 0 < before < len(BOT[FILE])
        site.worker = Machine(site.worker.home, fetched=Fetched(site.folder, 2**30)).ready()
        # There is no way left for all of it.
        async with cutting(site.http.url, [len(BOT[FILE])]) as way:
            await site.complete(url=way)
        assert site.partial() == []

    async def test_damage_to_what_was_there_costs_only_time(self, site: Site) -> None:
        put(site.folder, {f"{PARTIAL}/{DIGEST}": b"damaged"})
        local = await site.complete()
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]

    async def test_more_than_there_should_be_is_begun_again(self, site: Site) -> None:
        put(site.folder, {f"{PARTIAL}/{DIGEST}": BOT[FILE] + b"more"})
        local = await site.complete()
        assert local.model is not None
        assert read(local.model.path) == BOT[FILE]

    async def test_a_job_that_is_stopped_keeps_what_is_there(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching_module, "LOOK", 0.0)
        site.heard.stop_at = 0.3
        with pytest.raises(PaintStopped):
            await site.complete()
        [there] = site.partial()
        assert 0 < there < len(BOT[FILE])
        site.heard = Heard()
        await site.complete()
        assert site.partial() == []

    async def test_a_stop_is_not_waited_for_while_the_bot_is_away(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching_module, "PAUSES", (3600.0,))
        site.heard.stop_at = 0.0
        async with asyncio.timeout(30):
            with pytest.raises(PaintStopped):
                await site.complete(url="http://127.0.0.1:9")


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
        fetcher = site.fetcher(key=key)
        with pytest.raises(FetchFailed) as failed:
            await asyncio.to_thread(
                fetcher.complete, site.order(), site.heard.report, site.heard.check_stop
            )
        fetcher.close()
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


BUSY = b"HTTP/1.1 429 x\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class TestHostile:
    """What answers is not the bot, or the bot is not what it was."""

    @pytest.fixture
    def site(self, here: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
        monkeypatch.setattr(fetching_module, "PAUSES", (0.01,) * 3)
        monkeypatch.setattr(fetching_module, "AGAIN_MIN", 0.01)
        monkeypatch.setattr(fetching_module, "SPARE", 0)
        nobody = cast("Interface", SimpleNamespace(url="", keys={"worker": "imagen_x"}))
        return Site(here, nobody, bare_worker(tmp_path).ready())

    async def refused(self, site: Site, answer: Callable[[str], bytes]) -> str:
        before = sorted(site.worker.home.rglob("*"))
        async with answering(answer) as url:
            with pytest.raises(FetchFailed) as failed:
                await site.complete(url=url)
        partial = site.folder / PARTIAL
        left = set(site.worker.home.rglob("*")) - {*before, site.folder, partial}
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
    @pytest.mark.parametrize("hub", [False, True])
    async def test_names_that_lead_elsewhere(self, site: Site, name: str, hub: bool) -> None:
        body = listing((name, len(BOT[FILE]), DIGEST), hub=hub)
        answers = {"parts": ok(body), "files": ok(BOT[FILE])}
        assert await self.refused(site, lambda path: answers[path.split("/")[2]]) == "part.wrong"
        assert site.partial() == []

    @pytest.mark.parametrize(
        "body",
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

    @pytest.mark.parametrize("status", [204, 301, 400, 401, 403, 418, 500])
    async def test_other_answers(self, site: Site, status: int) -> None:
        """A redirection is not followed: the key is for the bot."""
        answer = f"HTTP/1.1 {status} x\r\nLocation: {site.http.url}/\r\nContent-Length: 0\r\n\r\n"
        code = await self.refused(site, lambda _: answer.encode())
        assert code == ("part.wrong" if status == 204 else "part.refused")

    async def test_a_bot_that_is_busy_is_asked_again_until_it_is_not(self, site: Site) -> None:
        body = listing(("model.safetensors", len(BOT[FILE]), DIGEST))
        answers = [*[BUSY] * 10, ok(body), *[BUSY] * 10, ok(BOT[FILE])]
        async with answering(lambda _: answers.pop(0)) as url:
            await site.complete(url=url)
        assert answers == []

    async def test_a_bot_that_is_always_busy_is_given_up(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It waits in between, whatever the answer says."""
        caplog.set_level("INFO")
        monkeypatch.setattr(fetching_module, "AGAIN_MIN", 0.06)
        monkeypatch.setattr(fetching_module, "AGAIN_TIMES", 10)
        asked = []

        def answer(path: str) -> bytes:
            asked.append(path)
            return BUSY

        assert await self.refused(site, answer) == "part.unreachable"
        assert len(asked) == 11
        assert caplog.text.count("trying again in 0.1 s") == 10


def weights_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*/**/*") if path.is_file()]


class TestRoom:
    @WITH_A_SERVER
    async def test_what_was_not_used_for_longest_makes_room(self, site: Site) -> None:
        fetched = site.worker.fetched
        assert fetched is not None
        first = await site.complete()
        assert first.model is not None
        ink = replace(PLAIN, model="folder", adapters=everything().adapters[:1])
        second = await site.complete(site.order(ink))
        for digest, day in ((DIGEST, 2), (sha256(BOT["loras/ink.safetensors"]), 1)):
            os.utime(site.folder / f"{digest}.json", (day, day))
        fetched.limit = sum(len(read(str(path))) for path in weights_in(site.folder))
        assert fetched.make_room(10, ())
        # The LoRA goes, as it was not used for longest.
        with pytest.raises(FileNotFoundError):
            read(second.adapters[0].path)
        assert read(first.model.path) == BOT[FILE]
        assert len(fetched.digests) == 2

    @WITH_A_SERVER
    async def test_no_part_of_an_order_makes_room_for_another(self, site: Site) -> None:
        """Although it was fetched last week."""
        with_ink = replace(PLAIN, adapters=everything().adapters[:1])
        await site.complete()
        os.utime(site.folder / f"{DIGEST}.json", (1, 1))
        site.worker.fetched.limit = len(BOT[FILE]) + 100  # type: ignore[union-attr]
        with pytest.raises(FetchFailed) as failed:
            await site.complete(site.order(with_ink))
        assert failed.value.code == "part.too_large"
        assert site.worker.fetched.digests == {DIGEST}  # type: ignore[union-attr]

    def test_what_an_order_needs_stays(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 20)
        self.keep(fetched, "a" * 64, 10)
        self.keep(fetched, "b" * 64, 10)
        assert not fetched.make_room(5, ("a" * 64, "b" * 64))
        assert fetched.digests == {"a" * 64, "b" * 64}
        assert fetched.make_room(5, ("a" * 64,))
        assert fetched.digests == {"a" * 64}

    def test_what_is_not_whole_does_not_survive_a_restart(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 100)
        for digest in ("a" * 64, "b" * 64, "c" * 64, "d" * 64):
            self.keep(fetched, digest, 10)
        (tmp_path / f"{'a' * 64}.json").unlink()  # the process ended before it was written
        (tmp_path / f"{'b' * 64}/model.safetensors").write_bytes(b"other")
        (tmp_path / f"{'c' * 64}.json").write_bytes(b"{}")
        put(tmp_path, {".draft-1/model.safetensors": b"half"})
        assert Fetched(tmp_path, 100).digests == {"d" * 64}
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            PARTIAL,
            "d" * 64,
            f"{'d' * 64}.json",
        ]

    def test_what_was_changed_is_fetched_again(self, tmp_path: Path) -> None:
        fetched = Fetched(tmp_path, 100)
        self.keep(fetched, "a" * 64, 10)
        assert fetched.find("a" * 64)
        (tmp_path / f"{'a' * 64}/model.safetensors").write_bytes(b"other")
        assert fetched.find("a" * 64) is None
        assert fetched.digests == frozenset()

    @staticmethod
    def keep(fetched: Fetched, digest: str, size: int) -> None:
        sent = SentFile("model.safetensors", size, "0" * 64)
        path = fetched.partial(sent.sha256)
        path.write_bytes(b"x" * size)
        fetched.keep(digest, Kind.MODEL, [(sent, path)])


@pytest.mark.parametrize(
    ("url", "sound"),
    [
        ("https://imagen.example.org", True),
        ("https://imagen.example.org/below/", True),
        ("http://127.0.0.1:8009", True),
        ("http://[::1]:8009", True),
        ("http://localhost:8009", True),
        ("http://imagen.example.org", False),
        ("http://192.168.1.2:8009", False),
        ("http://127.0.0.1.example.org", False),
        ("http://localhost.example.org", False),
        ("http://[::1", False),
        ("ftp://127.0.0.1", False),
        ("127.0.0.1:8009", False),
        ("", False),
    ],
)
def test_the_key_is_shown_to_no_one_else(url: str, sound: bool) -> None:
    if sound:
        check_address(url)
        return
    with pytest.raises(SettingsError, match="IMAGEN_FETCH_FROM"):
        check_address(url)


async def test_a_worker_with_all_files_fetches_none(tmp_path: Path) -> None:
    here, there = bot(tmp_path / "a").ready(), worker(tmp_path / "b").ready()
    fetched = Fetched(tmp_path / "fetched", 100)
    fetcher = Fetcher("http://127.0.0.1:9", "imagen_x", fetched, there.inventory)
    order = addressed(order_for(BOTS, everything()), here.inventory)
    heard = Heard()
    local = await asyncio.to_thread(fetcher.complete, order, heard.report, heard.check_stop)
    fetcher.close()
    assert local.model is not None
    assert heard.reports == []
    assert not fetched.folder.exists()
